"""What an execution environment runs, and whatever can run it: a process here, a container elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stagemaker.core.role_session import RoleSession
from stagemaker.functions.exchange import Exchange
from stagemaker.functions.runtime_api import RuntimeApi
from stagemaker.runtime.contract import Exit

TASK_ROOT = "/var/task"  # where the code of a zip file lies on AWS


@dataclass(frozen=True)
class FunctionImage:
    """What a function of PackageType Image runs."""

    name: str  # of one content for ever: by its digest
    entrypoint: tuple[str, ...] | None = None  # in place of the image's own, as the two below
    command: tuple[str, ...] = ()
    working_directory: str = ""


@dataclass(frozen=True)
class Function:
    """One version of a function, ready to run: `code` or `image` is set."""

    name: str
    version: str
    handler: str  # empty with an image
    code: Path | None  # the unpacked folder: shared by versions, so that nothing is ever written into it
    memory_mb: int
    timeout_s: float
    environment: Mapping[str, str]  # the function's own, and AWS_*
    image: FunctionImage | None = None
    role: RoleSession | None = None  # whose credentials its environment has too; None where it has its own


class Program(Protocol):
    """A started function, which asks the Runtime API for its work. All methods may be called from any thread."""

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs or has output to give."""

    def kill(self) -> Exit:
        """Kill everything of it; returns when nothing is left. After the end it returns the Exit at once."""

    def drain(self) -> None:
        """Give the lines that it has written so far before returning."""

    def peak_memory_bytes(self) -> int:
        """The most that it used so far; 0 when it has ended or nobody says."""


class Launcher(Protocol):
    """Starts functions."""

    def api(self, exchange: Exchange) -> RuntimeApi:
        """A Runtime API for one program, at the address of this process that functions reach, and nowhere else. OSError
        or ApiError when the machine cannot serve it."""

    def start(
        self, function: Function, api: RuntimeApi, on_line: Callable[[str], None], on_end: Callable[[], None]
    ) -> Program:
        """Start it, and have `api` admit it. `on_end` runs once, when nothing of it is left and before `kill` returns,
        also when this raises OSError or ApiError: when the machine cannot start it, or must not any more."""
