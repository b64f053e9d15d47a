"""Functions as processes: AWS's own runtime client (`awslambdaric`) in an environment of this machine.

Not as on AWS: the memory size is no limit, and the code folder is not /var/task.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.exchange import Exchange
from stagemaker.functions.program import Function, Program
from stagemaker.functions.runtime_api import RuntimeApi
from stagemaker.runtime.ports import LOOPBACK
from stagemaker.runtime.process.environment import minimal_environment


class CommandRuntime(Protocol):
    """A runtime that runs commands of this machine."""

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Callable[[Path], Mapping[str, str]],
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> Program:
        """Run a command; `environment` is called with the temporary folder that it has for itself. `on_end` runs once,
        when nothing of it is left, also when this raises: OSError, ValueError, or ApiError after the runtime's end."""


class Processes:
    """Starts functions as processes. `python` is an interpreter with awslambdaric."""

    def __init__(self, runtime: CommandRuntime, python: Path, supervisor: Supervisor) -> None:
        self._runtime, self._python, self._supervisor = runtime, python, supervisor

    def api(self, exchange: Exchange) -> RuntimeApi:
        """On this machine's loopback."""
        return RuntimeApi(LOOPBACK, exchange, self._supervisor)

    def start(
        self, function: Function, api: RuntimeApi, on_line: Callable[[str], None], on_end: Callable[[], None]
    ) -> Program:
        """Start the runtime client over the function's code. ValueError for a function without code."""
        code = function.code
        if code is None:
            on_end()
            raise ValueError(f"The function {function.name} has no code.")
        api.admit(LOOPBACK)
        return self._runtime.run(
            f"lambda-{function.name}",
            [str(self._python), "-m", "awslambdaric", function.handler],
            folder=code,
            environment=lambda temporary: self._environment(function, code, temporary, api.address),
            on_line=on_line,
            on_end=on_end,
        )

    def _environment(self, function: Function, code: Path, temporary: Path, api: str) -> dict[str, str]:
        return {
            **minimal_environment(self._python, temporary, temporary),
            **function.environment,
            "PYTHONDONTWRITEBYTECODE": "1",  # the code folder is read-only on AWS, and shared here
            "LAMBDA_TASK_ROOT": str(code),
            "LAMBDA_RUNTIME_DIR": str(self._python.parent),
            "_HANDLER": function.handler,
            "AWS_LAMBDA_RUNTIME_API": api,
        }
