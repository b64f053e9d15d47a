"""The thin adapter to LocalStack: providers, lifecycle hooks, a loopback server. What an operation does is elsewhere.

An operation of botocore's model is answered by the method of that name of one of our services, else by moto where moto
only keeps records, else by 501 with the operation's name.
"""

import logging
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore import xform_name
from localstack import config
from localstack.aws import handlers
from localstack.aws.api import CommonServiceException, RequestContext
from localstack.aws.spec import load_service
from localstack.config import HostAndPort
from localstack.runtime import hooks
from localstack.runtime.server import RuntimeServer
from localstack.runtime.server.core import RuntimeServerPlugin
from localstack.runtime.server.twisted import TwistedRuntimeServer
from localstack.services.moto import call_moto
from localstack.services.plugins import Service, aws_provider
from localstack.services.s3 import provider as s3_provider

from stagemaker.api.operation import find, is_record_keeping, payload
from stagemaker.api.unsupported import not_supported
from stagemaker.api.validation import clean, validate
from stagemaker.app import Stage
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.functions.image_rules import create_refusal
from stagemaker.registry.ecr import Ecr
from stagemaker.runtime.contract import Registry, Runtime
from stagemaker.runtime.docker.engine import DEFAULT_URL
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.runtime.process.runtime import ProcessRuntime
from stagemaker.settings import Settings, read_settings

LOG = logging.getLogger(__name__)
_stages: list[Stage] = []  # the one of this process, from `start` to `shutdown`


def settings() -> Settings:
    """As the environment of this LocalStack says; ValueError when it lacks something."""
    gateway = f"http://127.0.0.1:{config.GATEWAY_LISTEN[0].port}"
    return read_settings(os.environ, Path(config.dirs.data), gateway)


@hooks.on_infra_start(name="stagemaker_start")  # type: ignore[untyped-decorator]
def start() -> None:
    """Kill what an earlier run left behind and get ready; LocalStack does not start when this raises."""
    found = settings()
    s3_provider.DEFAULT_S3_TMP_DIR = str(found.work_dir.parent / "s3")  # else /tmp, shared by all stacks and left there
    hosts = [address.host for address in config.GATEWAY_LISTEN]  # in an order of LocalStack's
    loopback = "127.0.0.1"
    ecr = Ecr(found.docker, loopback if loopback in hosts else hosts[0], time.time, secrets.token_bytes(32))
    _stages.append(Stage(found, _runtime(found, ecr.registry), ecr))
    handlers.serve_custom_service_request_handlers.append(_check_lambda)


def _check_lambda(chain: Any, context: RequestContext, response: Any) -> None:  # noqa: ARG001 - as LocalStack calls it
    """Refuse what LocalStack's Lambda service takes and Lambda does not."""
    service, operation = context.service, context.operation
    if service is None or operation is None or (service.service_name, operation.name) != ("lambda", "CreateFunction"):
        return
    if refusal := create_refusal(context.service_request or {}):
        raise _exception(ApiError("InvalidParameterValueException", refusal, members={"Type": "User"}))


def docker_runtime() -> DockerRuntime:
    """The one of the running Stage. RuntimeError where there is none."""
    runtime = _stages[0].runtime if _stages else None
    if not isinstance(runtime, DockerRuntime):
        raise RuntimeError("LocalStack is shutting down, or runs without Docker.")
    return runtime


def _runtime(found: Settings, registry: Registry | None) -> Runtime:
    if found.docker is not None:
        return DockerRuntime(found.docker, found.work_dir, registry, os.environ.get("DOCKER_HOST") or DEFAULT_URL)
    if found.process is None:
        raise ValueError("there is neither a process nor a Docker runtime")
    return ProcessRuntime(found.process.images, found.process.environments, found.work_dir)


@hooks.on_infra_shutdown(name="stagemaker_shutdown")  # type: ignore[untyped-decorator]
def shutdown() -> None:
    """Stop everything that runs."""
    while _stages:
        _stages.pop().close()


@aws_provider(api="sagemaker")  # type: ignore[untyped-decorator]
def sagemaker() -> Service:
    """The control plane."""
    return _service("sagemaker", "ValidationException")


@aws_provider(api="sagemaker-runtime")  # type: ignore[untyped-decorator]
def sagemaker_runtime() -> Service:
    """InvokeEndpoint."""
    return _service("sagemaker-runtime", "ValidationError")


@aws_provider(api="ecr")  # type: ignore[untyped-decorator]
def ecr() -> Service:
    """Repositories and their images."""
    return _service("ecr", "InvalidParameterException")


class _Provider:
    def __init__(self, service: str) -> None:
        self.service = service


def _service(name: str, invalid: str) -> Service:
    def handle(context: RequestContext, request: Any) -> Any:
        return _answer(context, request, invalid)

    table = dict.fromkeys(load_service(name).operation_names, handle)
    return Service.for_provider(_Provider(name), dispatch_table_factory=lambda _: table)


def _answer(context: RequestContext, request: Mapping[str, Any], invalid: str) -> Any:
    operation, service = context.operation, context.service
    if operation is None or service is None:
        raise NotImplementedError("the request names no operation")
    own = find(_stages[0].services[service.service_name], xform_name(operation.name))
    if own is None:
        return _moto(context, service.service_name, operation.name)
    try:
        sent = payload(clean(request))
        validate(operation.input_shape, sent, invalid)
        return own(Scope(context.account_id, context.region), sent)
    except ApiError as error:
        raise _exception(error) from error


def _moto(context: RequestContext, service: str, operation: str) -> Any:
    missing = _exception(not_supported(f"the operation {operation} of {service}"))
    if not is_record_keeping(service, operation):
        raise missing
    try:
        return call_moto(context)
    except NotImplementedError as error:
        raise missing from error


def _exception(error: ApiError) -> CommonServiceException:
    """The members of a modelled error are attributes: LocalStack's serializer reads them by the shape of `code`."""
    exception = CommonServiceException(error.code, error.message, error.status, sender_fault=error.status < 500)
    for member, value in error.members.items():
        setattr(exception, member, value)
    return exception


class LoopbackServer(TwistedRuntimeServer):
    """LocalStack's default server, but on the addresses of GATEWAY_LISTEN: the original listens on all interfaces."""

    def register(
        self,
        gateway: Any,
        listen: list[HostAndPort],
        ssl_creds: tuple[str, str] | None = None,  # noqa: ARG002 - as the original
    ) -> None:
        """Plain HTTP only: it never leaves the machine. OSError when an address is taken: the original's goes on, and
        says that it is ready when whoever took the address answers."""
        from rolo.serving.twisted import TwistedGateway
        from twisted.internet import reactor
        from twisted.internet.error import CannotListenError

        for address in listen:
            try:
                reactor.listenTCP(address.port, TwistedGateway(gateway), interface=address.host)  # type: ignore[attr-defined]
            except CannotListenError as error:
                raise OSError(
                    f"LocalStack cannot listen on {address.host}:{address.port}: {error.socketError}."
                ) from error


class LoopbackServerPlugin(RuntimeServerPlugin):
    """GATEWAY_SERVER=loopback."""

    name = "loopback"

    def load(self, *_args: Any, **_kwargs: Any) -> RuntimeServer:
        """A server that is not registered yet."""
        return LoopbackServer()  # type: ignore[no-untyped-call]
