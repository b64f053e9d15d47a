"""What runs an image. One contract, kept by every implementation, the fake included.

`tests/contract/test_runtime.py` runs one suite over all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from stagemaker.errors import ApiError


class ImageRefused(ApiError):
    """The runtime cannot run this image; the message is a sentence that says what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


@dataclass(frozen=True)
class ContainerSpec:
    """What to run: a value, so that a test compares it without running anything."""

    name: str  # unique among what runs now, such as "my-job-algo-1"
    image: str  # as the caller of the API gave it
    command: tuple[str, ...]  # ("train",) or ("serve",)
    base_dir: Path  # a folder of ours that the container sees as /opt/ml; the caller creates and deletes it
    environment: Mapping[str, str] = field(default_factory=dict)
    serves: bool = False  # it listens for HTTP: the runtime picks a free loopback port and sets SAGEMAKER_BIND_TO_PORT


@dataclass(frozen=True)
class Exit:
    """How a container ended: `code` is 128 + n when signal n killed it (SIGKILL: 137)."""

    code: int


class Container(Protocol):
    """One running or ended container. All methods may be called from any thread."""

    @property
    def spec(self) -> ContainerSpec: ...

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port that reach the container's server from here, or None when it does not serve."""

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs. Never blocks. Not None only after the last line of output was given."""

    def wait(self, timeout_s: float) -> Exit | None:
        """As `poll`, after waiting for the end for at most `timeout_s`."""

    def stop(self, grace_s: float) -> Exit:
        """SIGTERM to the container's own process, SIGKILL to everything it started after `grace_s`; returns when
        nothing of it is left. Idempotent; after the end it returns the Exit at once. Not from inside `on_line`."""


class Runtime(Protocol):
    """Runs images. All methods may be called from any thread."""

    def check_image(self, image: str) -> None:
        """Raise ImageRefused when `start` could not run this image. Called when a job or a model is created."""

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> Container:
        """Start it and return at once. `on_line` gets each line of stdout and stderr (no line end, undecodable bytes
        replaced, at most 64 KiB a line) from a thread of the runtime, in order. Raises ImageRefused, or
        ApiError("InternalFailure", ..., 500) when the machine cannot start it; then nothing is left running."""

    def sweep(self) -> int:
        """Kill what an earlier instance of this runtime over the same state left behind; how many. Called at start."""

    def close(self) -> None:
        """Kill everything that still runs, at once. Idempotent; `start` raises afterwards."""
