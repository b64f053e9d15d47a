"""The thin adapter to LocalStack's Lambda service: LAMBDA_RUNTIME_EXECUTOR=stagemaker runs functions by Environment.

LocalStack keeps the functions, versions, concurrency and event sources, gives the role's credentials, and asks a
RuntimeExecutor to run each execution environment.
"""

import platform
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localstack.aws.api.lambda_ import (  # type: ignore[attr-defined]  # a class that hides its base of the same name
    InvalidParameterValueException,
    RequestTooLargeException,
    ServiceException,
)
from localstack.services.lambda_ import provider
from localstack.services.lambda_.invocation import lambda_models
from localstack.services.lambda_.invocation.assignment import AssignmentService
from localstack.services.lambda_.invocation.execution_environment import ExecutionEnvironment
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import (
    FunctionVersion,
    ImageCode,
    InitializationType,
    InvocationResult,
    S3Code,
)
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import LambdaRuntimeException, RuntimeExecutor

from stagemaker.adapters.localstack import docker_runtime, settings
from stagemaker.core.errors import ApiError
from stagemaker.functions.code import unzip_code
from stagemaker.functions.containers import Containers
from stagemaker.functions.environment import Environment
from stagemaker.functions.exchange import Invocation
from stagemaker.functions.image_rules import image_missing
from stagemaker.functions.processes import Processes
from stagemaker.functions.program import Function, Image, Launcher
from stagemaker.functions.runtime_api import MAX_EVENT_BYTES
from stagemaker.runtime.contract import ImageRefused
from stagemaker.runtime.images import by_digest
from stagemaker.runtime.process.labels import Labels
from stagemaker.settings import Settings

_INTERNAL = "LOCALSTACK_"  # what LocalStack tells its own init binary
_HERE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), "")


class StagemakerRuntimeExecutor(RuntimeExecutor):
    """One execution environment. Raises LambdaRuntimeException with a sentence where it cannot run the function."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 - as the base class
        super().__init__(id, function_version)
        self._lock = threading.Lock()
        self._environment: Environment | None = None
        self._stopped = False

    def start(self, env_vars: dict[str, str]) -> None:
        """Start it and wait until it is initialised.

        Raises StatusErrorException when provisioned concurrency cannot be initialised; otherwise the invocation
        tries again and answers the error, with its log, as on AWS."""
        found = settings()
        environment = Environment(_function(self.function_version, env_vars, found), _launcher(found))
        with self._lock:
            if self._stopped:  # LocalStack may stop what it has not started yet
                raise LambdaRuntimeException("The environment was stopped.")
            self._environment = environment
        failure = environment.start()
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
        result = self._environment.invoke(Invocation(request_id, arn, event, trace_id))
        return InvocationResult(request_id, result.payload, is_error=result.is_error, logs=result.logs)

    def get_logs(self) -> str:
        """What no invocation has taken."""
        return self._environment.logs() if self._environment else ""

    def get_address(self) -> str:
        """Where LocalStack would find it: it is never asked, since the function asks for its work."""
        return self.get_endpoint_from_executor()

    def get_endpoint_from_executor(self) -> str:
        """Where it finds LocalStack."""
        return urlsplit(settings().gateway_url).hostname or ""

    def get_runtime_endpoint(self) -> str:
        """Nowhere: it talks to our Runtime API, not to LocalStack's."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code. What this raises becomes the StateReason of the function, whose state is then Failed."""
        config, found = function_version.config, settings()
        if config.layers:
            raise LambdaRuntimeException("Layers are not supported yet: put their content into the function's code.")
        if found.docker and config.architectures != [_HERE]:
            wanted = ", ".join(config.architectures)
            raise LambdaRuntimeException(f"This machine cannot run {wanted}: set Architectures to [{_HERE!r}].")
        if found.docker and config.code and config.code.is_hot_reloading():  # any folder of the engine's machine
            raise LambdaRuntimeException("Hot reloading is not supported in containers: upload the code as a zip file.")
        _launcher(found)
        if found.docker:
            image = _pinned(function_version) if config.package_type == "Image" else found.docker.function_image
            docker_runtime().fetch(image)
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
        vars(provider)["create_image_code"] = _create_image_code
        vars(lambda_models)["unzip"] = unzip_code
        AssignmentService.stop_environments_for_version = _stop_environments  # type: ignore[assignment, method-assign]
        ExecutionEnvironment.release = _release  # type: ignore[assignment, method-assign]
        if settings().docker:
            S3Code.get_unzipped_code_location = _code_location  # type: ignore[assignment, method-assign]
        return StagemakerRuntimeExecutor


_stop_known, _release_only = AssignmentService.stop_environments_for_version, ExecutionEnvironment.release
_gone: set[str] = set()  # the ids of versions (of their managers) that were updated or deleted


def _stop_environments(service: AssignmentService, version_manager_id: str) -> None:
    """In place of LocalStack's, which stops those that it has started: see `_release`."""
    _gone.add(version_manager_id)
    _stop_known(service, version_manager_id)


def _release(environment: ExecutionEnvironment) -> None:
    """In place of LocalStack's, after an invocation: an environment that was being started when its version went would
    stay for the keepalive, in which LocalStack itself could not end."""
    _release_only(environment)
    if environment.version_manager_id in _gone:
        environment.stop()


def _launcher(found: Settings) -> Launcher:
    if found.docker:
        return Containers(docker_runtime(), found.docker.function_image)
    if found.process is None:
        raise LambdaRuntimeException("Neither processes nor containers are set up.")
    python = found.process.environments / "lambda" / "bin" / "python"
    if not python.exists():
        raise LambdaRuntimeException("The environment 'lambda' is not installed.")
    return Processes(python, Labels(found.work_dir))


def _function(version: FunctionVersion, env_vars: dict[str, Any], found: Settings) -> Function:
    """LocalStack's values are not all strings."""
    config = version.config
    environment = {key: str(value) for key, value in env_vars.items() if not key.startswith(_INTERNAL)}
    if "AWS_ENDPOINT_URL" not in (config.environment or {}):
        environment["AWS_ENDPOINT_URL"] = found.gateway_url
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
    )


def _image(version: FunctionVersion) -> Image:
    changes = version.config.image_config
    return Image(
        name=_pinned(version),
        entrypoint=tuple(changes.entrypoint) if changes and changes.entrypoint else None,
        command=tuple(changes.command) if changes and changes.command else (),
        working_directory=(changes and changes.working_directory) or "",
    )


@dataclass(frozen=True)
class _PinnedImage(ImageCode):
    """What the URI meant when the function was created or updated."""

    pinned: str = ""  # the name by which the runtime starts it

    @property
    def resolved_image_uri(self) -> str:
        """As GetFunction answers it."""
        return by_digest(self.image_uri, f"sha256:{self.code_sha256}")


def _pinned(version: FunctionVersion) -> str:
    """The name by which the runtime starts the image of this version. ValueError for a version without one."""
    image = version.config.image
    if not isinstance(image, _PinnedImage):
        raise ValueError(f"The function {version.id.function_name} has no image.")
    return image.pinned


def _code_location(code: S3Code) -> Path:
    """In place of LocalStack's, which is in the temporary folder: the engine mounts only what lies in our state."""
    return settings().work_dir / "functions" / str(code.s3_bucket) / str(code.id) / "code"


def _create_image_code(image_uri: str) -> ImageCode:
    """In place of LocalStack's, for CreateFunction and UpdateFunctionCode; there is no extension point for it.

    Community's asks LocalStack's own Docker client, would pull from the internet, takes an image that is not there,
    and makes up a CodeSha256; and its ImageCode cuts a URI at the last colon, which may be a port's or a digest's."""
    if settings().docker is None:
        refusal = "PackageType Image needs Docker: set STAGEMAKER_RUNTIME=docker, or use a zip file."
        raise InvalidParameterValueException(refusal, Type="User")
    try:
        name = docker_runtime().pin(image_uri)
    except ImageRefused as error:
        raise InvalidParameterValueException(image_missing(image_uri), Type="User") from error
    except ApiError as error:
        raise ServiceException(error.message) from error
    return _PinnedImage(image_uri, repository_type="ECR", code_sha256=name.rpartition(":")[2], pinned=name)
