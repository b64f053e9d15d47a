"""The thin adapter to LocalStack: lifecycle hooks, and a provider for each service of the table.

An operation of botocore's model is answered by its row of the table in `app.py`, else by moto where moto only keeps
records, else by 501 with the operation's name.
"""

import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localstack import config
from localstack.aws import handlers
from localstack.aws.api import RequestContext
from localstack.aws.protocol.serializer import create_serializer
from localstack.aws.spec import load_service
from localstack.runtime import hooks
from localstack.services.moto import call_moto
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.plugins import Service as LocalStackService
from localstack.utils.bootstrap import get_enabled_apis

from stagemaker.access.enforce import Enforcer, Mode
from stagemaker.access.recorder import Recorder
from stagemaker.adapters import (
    collector,
    ec2_metadata,
    identity,
    interruptions,
    notebook_offer,
    own_addresses,
    patches,
    recorded_policy,
    requests,
    running,
    service_models,
    stack_callers,
)
from stagemaker.adapters.enforcement import Enforcement, logged
from stagemaker.adapters.errors import beyond_the_model, exception
from stagemaker.adapters.event_streams import streamed
from stagemaker.adapters.iam_store import IamStore
from stagemaker.adapters.identity_sts import Sts
from stagemaker.adapters.lambda_urls import serve_function_urls
from stagemaker.adapters.moto_tags import MotoTags
from stagemaker.api import moto
from stagemaker.api.operation import Service, plain
from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import not_supported
from stagemaker.api.validation import validate
from stagemaker.app import App
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import Registry, Runtime
from stagemaker.runtime.docker.engine import DEFAULT_URL
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.runtime.process.runtime import ProcessRuntime
from stagemaker.settings import Settings, read_settings

_LOOPBACK = "127.0.0.1"
_SERVER = "loopback"  # server.py


@hooks.on_infra_start(name="stagemaker_start")  # type: ignore[untyped-decorator]
def start() -> None:
    """Kill what an earlier run left behind and get ready; LocalStack does not start when this raises."""
    if config.GATEWAY_SERVER != _SERVER:
        raise ValueError(f"GATEWAY_SERVER must be {_SERVER}: LocalStack's own let every web page in.")
    gateway = f"http://{_LOOPBACK}:{config.GATEWAY_LISTEN[0].port}"
    settings = read_settings(os.environ, Path(config.dirs.data), gateway)
    hosts = [address.host for address in config.GATEWAY_LISTEN]  # in an order of LocalStack's
    address = _LOOPBACK if _LOOPBACK in hosts else hosts[0]
    mode, store = Mode(settings.iam), IamStore(running.current)
    recorder = Recorder(mode)
    observer = logged(recorder.saw) if mode is Mode.SOFT else recorder.saw
    enforcer = Enforcer(mode, store, observer, time.time)
    enforcement = Enforcement(running.current, enforcer, store, identity.find_caller)
    make_runtime, tags = _make_runtime(settings), [MotoTags()]
    app = App(settings, make_runtime, address=address, other_tags=tags, rights=enforcement)
    running.begin(app)
    patches.apply(app)
    requests.install()
    handlers.preprocess_request.append(serve_function_urls)
    interruptions.install()
    notebook_offer.install()
    ec2_metadata.install()
    recorded_policy.install(recorder, own_addresses.is_root)
    if settings.iam == "strict":
        own_addresses.install()
        stack_callers.install()
    service_models.install()
    # All are announced before the first is added. LocalStack remembers which services there are from the first time
    # that anybody asks: perhaps a hook that came before this one.
    SERVICE_PLUGINS.api_provider_specs.update({name: ["default"] for name in app.services})
    get_enabled_apis.cache_clear()
    for service in app.services.values():
        _provide(service, enforcement)
    identity.install(app)
    enforcement.install()
    handlers.serve_custom_service_request_handlers.append(_shared(app, enforcement, _sts()))
    collector.install()


@hooks.on_infra_shutdown(name="stagemaker_shutdown")  # type: ignore[untyped-decorator]
def shutdown() -> None:
    """Stop everything that runs."""
    running.end()


def _make_runtime(settings: Settings) -> Callable[[Registry | None, Supervisor], Runtime]:
    def make(registry: Registry | None, supervisor: Supervisor) -> Runtime:
        if settings.docker is not None:
            url = os.environ.get("DOCKER_HOST") or DEFAULT_URL
            return DockerRuntime(settings.docker, settings.work_dir, registry, supervisor, url)
        if settings.process is None:
            raise ValueError("there is neither a process nor a Docker runtime")
        return ProcessRuntime(settings.process.images, settings.process.environments, settings.work_dir, supervisor)

    return make


class _Provider:
    """What LocalStack calls a provider: it looks at the name only, since the table answers."""

    def __init__(self, service: str) -> None:
        self.service = service


def _provide(service: Service, enforcement: Enforcement) -> None:
    """Have LocalStack ask us for every operation of the service: a row of the table needs no entry point of its own."""

    def handle(context: RequestContext, request: Any) -> Any:
        return _answer(service, context, request, enforcement)

    table = dict.fromkeys(load_service(service.name).operation_names, handle)
    SERVICE_PLUGINS.add_service(
        LocalStackService.for_provider(_Provider(service.name), dispatch_table_factory=lambda _: table)
    )


def _sts() -> Service:
    known = identity.installed()
    sts = Sts(known.sessions, identity.current_caller, time.time, secrets.token_bytes, is_strict=known.is_strict)
    return sts.service()


def _shared(app: App, enforcement: Enforcement, *more: Service) -> Any:
    """A handler that answers the operations of ours of a service whose others LocalStack answers: the App's, and
    `more`."""
    services = {**app.shared_services, **{each.name: each for each in more}}

    def handle(chain: Any, context: RequestContext, response: Any) -> None:
        service = services.get(context.service.service_name) if context.service else None
        if service is None or context.operation is None or context.operation.name not in service.operations:
            return
        context.service_response = _answer(service, context, context.service_request or {}, enforcement)
        serializer = create_serializer(context.service, context.protocol)
        made = serializer.serialize_to_response(
            context.service_response, context.operation, context.request.headers, context.request_id
        )
        response.update_from(made)
        chain.stop()

    return handle


def _answer(service: Service, context: RequestContext, request: Mapping[str, Any], enforcement: Enforcement) -> Any:
    model = context.operation
    if model is None:
        raise NotImplementedError("the request names no operation")
    operation = service.operations.get(model.name)
    try:
        sent = plain(request)
        if operation is None:
            enforcement.authorize_ours(context, sent)
            return _moto(context, service.name, model.name, sent)
        validate(model.input_shape, sent, service.invalid)
        enforcement.authorize_ours(context, sent, operation.resource)
        answer = operation.call(Scope(context.account_id, context.region), sent)
        return streamed(context, model, answer) if model.has_event_stream_output else answer
    except ApiError as error:
        if beyond := beyond_the_model(error, model):
            return _whole_error(context, error, beyond)
        raise exception(error) from error


def _whole_error(context: RequestContext, error: ApiError, beyond: Mapping[str, Any]) -> Any:
    """The answer to an error of a JSON service that has members beyond those of its model."""
    context.service_exception = exception(error)
    serializer = create_serializer(context.service, context.protocol)
    answer = serializer.serialize_error_to_response(
        context.service_exception, context.operation, context.request.headers, context.request_id
    )
    answer.set_json({**json.loads(answer.data), **beyond})
    return answer


def _moto(context: RequestContext, service: str, operation: str, request: Mapping[str, Any]) -> Any:
    """Moto's answer. The tags of what it makes are kept for it: it drops those of some kinds."""
    missing = not_supported(f"the operation {operation} of {service}")
    if not moto.may_answer(service, operation):
        raise missing
    tags = tag_list(request)
    try:
        answer = call_moto(context)
    except NotImplementedError as error:
        raise missing from error
    if tags:
        arn = next(value for member, value in answer.items() if member.endswith("Arn"))
        MotoTags().put(Scope(context.account_id, context.region), arn, tags)
    return answer
