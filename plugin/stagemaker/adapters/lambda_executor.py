"""The thin adapter to LocalStack's Lambda service: LAMBDA_RUNTIME_EXECUTOR=stagemaker runs functions by Environment.

LocalStack keeps the functions, versions, concurrency and event sources, gives the role's credentials, and asks a
RuntimeExecutor to run each execution environment.
"""

import os
import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from localstack.aws.api.lambda_ import RequestTooLargeException
from localstack.aws.connect import connect_to
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InitializationType, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import LambdaRuntimeException, RuntimeExecutor

from stagemaker.adapters import running
from stagemaker.adapters.lambda_images import pinned
from stagemaker.app import App
from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.core.role_session import RoleSession
from stagemaker.functions.containers import Containers
from stagemaker.functions.environment import Environment
from stagemaker.functions.exchange import Invocation
from stagemaker.functions.invoke_rules import client_context
from stagemaker.functions.processes import Processes
from stagemaker.functions.program import Function, FunctionImage, Launcher
from stagemaker.functions.runtime_api import MAX_EVENT_BYTES
from stagemaker.functions.start_queue import StartQueue
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.runtime.process.runtime import ProcessRuntime
from stagemaker.runtime.variables import CREDENTIALS

SESSION_S = 12 * 3600  # of a function's role, as LocalStack asks for it
_INTERNAL = "LOCALSTACK_"  # what LocalStack tells its own init binary
_ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")  # Lambda's word
STARTS = StartQueue[ExecutionEnvironment](2 * len(os.sched_getaffinity(0)))  # of all functions; offered to its version


@dataclass
class MeasuredResult(InvocationResult):
    """With the duration that the platform reports: without the start of the program."""

    duration_s: float = 0.0


class StagemakerRuntimeExecutor(RuntimeExecutor):
    """One execution environment. Raises LambdaRuntimeException with a sentence where it cannot run the function.

    `client_context` is that of the next invocation, as its caller sent it; a patch sets it."""

    client_context: str | None = None

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 - as the base class
        super().__init__(id, function_version)
        self._lock = threading.Lock()
        self._environment: Environment | None = None
        self._stopped = False

    def start(self, env_vars: dict[str, str]) -> None:
        """Start it and wait until it is initialised.

        Raises StatusErrorException when provisioned concurrency cannot be initialised; otherwise the invocation
        tries again and answers the error, with its log, as on AWS."""
        app = running.current()
        function = _function(self.function_version, env_vars, app.settings.gateway_url)
        environment = Environment(function, _launcher(app), STARTS)
        with self._lock:
            if self._stopped:  # LocalStack may stop what it has not started yet
                raise LambdaRuntimeException("The environment was stopped before it started.")
            self._environment = environment
        failure = environment.start()
        if self._stopped:  # else it would be taken for one that is ready
            raise LambdaRuntimeException("The environment was stopped while it started.")
        provisioned = env_vars["AWS_LAMBDA_INITIALIZATION_TYPE"] == InitializationType.provisioned_concurrency
        if failure and provisioned:
            raise StatusErrorException("the initialisation failed", payload=failure)

    def stop(self) -> None:
        """End it, with everything that it started."""
        with self._lock:
            self._stopped = True
        if self._environment:
            self._environment.stop()

    def invoke(self, payload: dict[str, str]) -> InvocationResult:
        """Run one invocation to its end."""
        if not self._environment:
            raise LambdaRuntimeException("The environment was not started.")
        request_id = payload["invoke-id"]
        event = payload["payload"].encode()
        if len(event) > MAX_EVENT_BYTES:
            limit = f"too large for the RequestResponse invocation type (limit {MAX_EVENT_BYTES} bytes)"
            raise RequestTooLargeException(f"{len(event)} byte payload is {limit}")
        arn, trace_id = payload["invoked-function-arn"], payload["trace-id"]
        result = self._environment.invoke(Invocation(request_id, arn, event, trace_id, client_context=self._context()))
        return MeasuredResult(
            request_id, result.payload, is_error=result.is_error, logs=result.logs, duration_s=result.duration_s
        )

    def _context(self) -> str:
        """Of the invocation. LocalStack's function URLs give one that is none."""
        try:
            return client_context(self.client_context or "")
        except ValueError:
            return ""

    def get_logs(self) -> str:
        """What no invocation has taken."""
        return self._environment.logs() if self._environment else ""

    def get_address(self) -> str:
        """Where LocalStack would find it: it is never asked, since the function asks for its work."""
        return self.get_endpoint_from_executor()

    def get_endpoint_from_executor(self) -> str:
        """Where it finds LocalStack."""
        return urlsplit(running.current().settings.gateway_url).hostname or ""

    def get_runtime_endpoint(self) -> str:
        """Nowhere: it talks to our Runtime API, not to LocalStack's."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code. What this raises becomes the StateReason of the function, whose state is then Failed."""
        app, config = running.current(), function_version.config
        if config.layers:
            raise LambdaRuntimeException("Layers are not supported yet: put their content into the function's code.")
        _launcher(app)
        if isinstance(app.runtime, DockerRuntime):
            _prepare_containers(app, app.runtime, function_version)
        if config.package_type == "Image":
            return
        if not (config.runtime or "").startswith("python3"):
            raise LambdaRuntimeException(f"Runtime {config.runtime} needs an image: Stagemaker runs only python3.x.")
        if config.code:
            config.code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version: FunctionVersion) -> None:
        """Nothing: the unpacked code is shared by the versions, and LocalStack deletes it with the last one."""


class StagemakerRuntimeExecutorPlugin(RuntimeExecutorPlugin):
    """LAMBDA_RUNTIME_EXECUTOR=stagemaker."""

    name = "stagemaker"

    def load(self, *_args: Any, **_kwargs: Any) -> type[RuntimeExecutor]:
        """The class that LocalStack makes one instance of for each execution environment."""
        return StagemakerRuntimeExecutor


def _prepare_containers(app: App, runtime: DockerRuntime, version: FunctionVersion) -> None:
    config = version.config
    if config.architectures != [_ARCHITECTURE]:
        wanted = ", ".join(config.architectures)
        raise LambdaRuntimeException(f"This machine cannot run {wanted}: set Architectures to [{_ARCHITECTURE!r}].")
    if config.code and config.code.is_hot_reloading():  # any folder of the engine's machine
        raise LambdaRuntimeException("Hot reloading is not supported in containers: upload the code as a zip file.")
    if config.package_type == "Image":
        runtime.fetch(pinned(version))
    elif app.settings.docker:
        runtime.fetch(app.settings.docker.function_image)


def _launcher(app: App) -> Launcher:
    runtime, settings = app.runtime, app.settings
    if isinstance(runtime, DockerRuntime) and settings.docker:
        return Containers(runtime, settings.docker.function_image, app.supervisor)
    if not isinstance(runtime, ProcessRuntime) or not settings.process:
        raise LambdaRuntimeException("Neither processes nor containers are set up.")
    python = settings.process.environments / "lambda" / "bin" / "python"
    if not python.exists():
        raise LambdaRuntimeException("The environment 'lambda' is not installed.")
    return Processes(runtime, python, app.supervisor)


def _role_session(version: FunctionVersion, env_vars: Mapping[str, Any]) -> RoleSession | None:
    """Of the function's role, which begins with the credentials that LocalStack has just got for it; None where the
    function's own variables have others."""
    if not set(CREDENTIALS).isdisjoint(version.config.environment or {}):
        return None
    role_arn, name = version.config.role, version.id.function_name
    session_name = name if len(name) > 1 else f"{name}@lambda_function"  # as LocalStack's own

    def issue() -> Credentials:
        sts = connect_to(region_name=version.id.region).sts.request_metadata(service_principal="lambda")
        try:
            made = sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=SESSION_S)
        except ClientError as error:
            sentence = "The role defined for the function cannot be assumed by Lambda."
            raise ApiError("AccessDeniedException", sentence, 403) from error
        return Credentials.issued(role_arn, made["Credentials"])

    session = RoleSession(issue, time.time)
    access_key_id, secret, token = (str(env_vars[name]) for name in CREDENTIALS)
    session.take(Credentials(role_arn, access_key_id, secret, token, time.time() + SESSION_S))
    return session


def _function(version: FunctionVersion, env_vars: dict[str, Any], gateway_url: str) -> Function:
    """LocalStack's values are not all strings."""
    config = version.config
    environment = {key: str(value) for key, value in env_vars.items() if not key.startswith(_INTERNAL)}
    if "AWS_ENDPOINT_URL" not in (config.environment or {}):
        environment["AWS_ENDPOINT_URL"] = gateway_url
    if config.runtime:
        environment["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{config.runtime}"
    return Function(
        name=version.id.function_name,
        version=version.id.qualifier,
        handler=config.handler or "",
        code=config.code.get_unzipped_code_location() if config.code else None,
        memory_mb=config.memory_size,
        timeout_s=config.timeout,
        environment=environment,
        image=_image(version) if config.package_type == "Image" else None,
        role=_role_session(version, env_vars),
    )


def _image(version: FunctionVersion) -> FunctionImage:
    changes = version.config.image_config
    return FunctionImage(
        name=pinned(version),
        entrypoint=tuple(changes.entrypoint) if changes and changes.entrypoint else None,
        command=tuple(changes.command) if changes and changes.command else (),
        working_directory=(changes and changes.working_directory) or "",
    )
