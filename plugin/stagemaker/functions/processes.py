"""Functions as processes: AWS's own runtime client (`awslambdaric`) in an environment of this machine.

Not as on AWS: the memory size is no limit, and the code folder is not /var/task.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from stagemaker.functions.program import Function
from stagemaker.functions.runtime_api import RuntimeApi
from stagemaker.runtime.ports import LOOPBACK
from stagemaker.runtime.process.child import Child
from stagemaker.runtime.process.environment import minimal_environment
from stagemaker.runtime.process.labels import Labels


class Processes:
    """See Launcher. `python` is an interpreter with awslambdaric. ValueError for a function without code."""

    def __init__(self, python: Path, labels: Labels) -> None:
        self._python, self._labels = python, labels

    def host(self) -> str:
        """See Launcher."""
        return LOOPBACK

    def start(
        self, function: Function, api: RuntimeApi, on_line: Callable[[str], None], on_end: Callable[[], None]
    ) -> Child:
        """See Launcher."""
        label = self._labels.new(f"lambda-{function.name}")

        def end() -> None:
            on_end()
            shutil.rmtree(label.folder, ignore_errors=True)

        try:
            if function.code is None:
                raise ValueError(f"The function {function.name} has no code.")
            label.folder.mkdir(mode=0o700)
            api.admit(LOOPBACK)
            return Child(
                [str(self._python), "-m", "awslambdaric", function.handler],
                folder=function.code,
                environment=self._environment(function, function.code, label.folder, api.address),
                label=label.text,
                on_line=on_line,
                on_end=end,
            )
        except (OSError, ValueError):
            end()
            raise

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
