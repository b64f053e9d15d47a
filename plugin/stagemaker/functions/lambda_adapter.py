"""The thin adapter to LocalStack's Lambda service: LAMBDA_RUNTIME_EXECUTOR=stagemaker runs functions by functions.py.

LocalStack keeps the functions, versions, concurrency and event sources, gives the role's credentials, and asks a
RuntimeExecutor to run each execution environment.
"""

from pathlib import Path
from typing import Any

from localstack.aws.api.lambda_ import RequestTooLargeException
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InitializationType, InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import LambdaRuntimeException, RuntimeExecutor

from stagemaker.functions.function_environment import Environment, Function
from stagemaker.functions.functions_api import MAX_EVENT_BYTES, Invocation
from stagemaker.plugin import settings
from stagemaker.runtime.labels import Labels
from stagemaker.runtime.ports import LOOPBACK
from stagemaker.settings import Settings

_INTERNAL = "LOCALSTACK_"  # what LocalStack tells its own init binary


class StagemakerRuntimeExecutor(RuntimeExecutor):
    """One execution environment. Raises LambdaRuntimeException with a sentence where it cannot run the function."""

    def __init__(self, id: str, function_version: FunctionVersion) -> None:  # noqa: A002 - as the base class
        super().__init__(id, function_version)
        self._environment: Environment | None = None

    def start(self, env_vars: dict[str, str]) -> None:
        """Start it and wait until it is initialised.

        Raises StatusErrorException when provisioned concurrency cannot be initialised; otherwise the invocation
        tries again and answers the error, with its log, as on AWS."""
        found = settings()
        python = _python(found)
        self._environment = Environment(_function(self.function_version, env_vars), python, Labels(found.work_dir))
        failure = self._environment.start()
        provisioned = env_vars["AWS_LAMBDA_INITIALIZATION_TYPE"] == InitializationType.provisioned_concurrency
        if failure and provisioned:
            raise StatusErrorException("the initialisation failed", payload=failure)

    def stop(self) -> None:
        """End it, with everything that it started."""
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
        invocation = Invocation(request_id, payload["invoked-function-arn"], event, payload["trace-id"])
        result = self._environment.invoke(invocation)
        return InvocationResult(request_id, result.payload, is_error=result.is_error, logs=result.logs)

    def get_logs(self) -> str:
        """What no invocation has taken."""
        return self._environment.logs() if self._environment else ""

    def get_address(self) -> str:
        """Where LocalStack finds it."""
        return LOOPBACK

    def get_endpoint_from_executor(self) -> str:
        """Where it finds LocalStack."""
        return LOOPBACK

    def get_runtime_endpoint(self) -> str:
        """Nowhere: it talks to functions.py's Runtime API, not to LocalStack's."""
        return ""

    @classmethod
    def prepare_version(cls, function_version: FunctionVersion) -> None:
        """Unpack the code. What this raises becomes the StateReason of the function, whose state is then Failed."""
        config = function_version.config
        if config.package_type != "Zip" or config.code is None:
            raise LambdaRuntimeException("PackageType Image needs Docker, which Stagemaker does not use yet: use Zip.")
        if not (config.runtime or "").startswith("python3"):
            raise LambdaRuntimeException(f"Runtime {config.runtime} needs Docker: Stagemaker runs only python3.x.")
        if config.layers:
            raise LambdaRuntimeException("Layers are not supported yet: put their content into the function's zip.")
        _python(settings())
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


def _python(found: Settings) -> Path:
    if found.process is None:
        raise LambdaRuntimeException("Functions in containers are not supported yet.")
    python = found.process.environments / "lambda" / "bin" / "python"
    if not python.exists():
        raise LambdaRuntimeException("The environment 'lambda' is not installed.")
    return python


def _function(version: FunctionVersion, env_vars: dict[str, Any]) -> Function:
    """LocalStack's values are not all strings."""
    if version.config.code is None:
        raise LambdaRuntimeException("The function has no code.")
    environment = {key: str(value) for key, value in env_vars.items() if not key.startswith(_INTERNAL)}
    return Function(
        name=version.id.function_name,
        version=version.id.qualifier,
        handler=version.config.handler or "",
        code=version.config.code.get_unzipped_code_location(),
        memory_mb=version.config.memory_size,
        timeout_s=version.config.timeout,
        environment=environment | {"AWS_EXECUTION_ENV": f"AWS_Lambda_{version.config.runtime}"},
    )
