"""Functions in containers: an image as it is, or the code of a zip file in the image for those.

As on AWS the function runs as a user without rights, writes nowhere but in /tmp, and ends when it uses more than its
memory size.
"""

import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.exchange import Exchange
from stagemaker.functions.program import TASK_ROOT, Function
from stagemaker.functions.runtime_api import RuntimeApi
from stagemaker.runtime.contract import Container, ContainerSpec, Exit, Mount

_DRAIN_S = 1.0  # far longer than an engine takes under load; a function that broke its terminal costs this


class FunctionContainer(Container, Protocol):
    """A container of a spec with `function` set."""

    @property
    def ip(self) -> str:
        """Where its connections to us come from."""

    def drain(self, timeout_s: float) -> bool:
        """Give the lines that it has written so far before returning; whether it could be told that these are all."""

    def peak_memory_bytes(self) -> int:
        """The most that it used so far; 0 when it has ended or the engine does not say."""


class FunctionRuntime(Protocol):
    """A runtime that runs functions."""

    def host(self) -> str:
        """The address at which this process listens for containers."""

    def host_name(self) -> str:
        """The name or address by which containers call it."""

    def pin(self, image: str) -> str:
        """The name under which `start` runs what `image` means now, for ever: it ends with a digest of 64 hex digits.
        Raises ImageRefused as `check_image`."""

    def fetch(self, image: str) -> None:
        """Have the engine hold what `pin` named, so that `start` is quick. ImageRefused, or ApiError 500."""

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> FunctionContainer:
        """Start it and return at once. Raises as Runtime.start does."""


class Containers:
    """Starts functions as containers. `zip_image` runs the functions that are zip files: its entry point takes the
    handler."""

    def __init__(self, runtime: FunctionRuntime, zip_image: str, supervisor: Supervisor) -> None:
        self._runtime, self._zip_image, self._supervisor = runtime, zip_image, supervisor

    def api(self, exchange: Exchange) -> RuntimeApi:
        """Where the runtime's containers reach this process."""
        return RuntimeApi(self._runtime.host(), exchange, self._supervisor, self._runtime.host_name())

    def start(
        self, function: Function, api: RuntimeApi, on_line: Callable[[str], None], on_end: Callable[[], None]
    ) -> "ContainerProgram":
        """Start the container of `function_spec`."""
        with ExitStack() as undo:
            undo.callback(on_end)
            container = self._runtime.start(function_spec(function, self._zip_image, api.address), on_line)
            undo.callback(container.stop, grace_s=0)
            api.admit(container.ip)
            program = ContainerProgram(container, on_end, self._supervisor)
            undo.pop_all()
        return program


class ContainerProgram:
    """A function's program that runs in a container."""

    def __init__(self, container: FunctionContainer, on_end: Callable[[], None], supervisor: Supervisor) -> None:
        self._container, self._on_end = container, on_end
        self._watcher = supervisor.follow(f"end of {container.spec.name}", self._watch)

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs or has output to give."""
        return self._container.poll()

    def kill(self) -> Exit:
        """Kill the container; returns when nothing of it is left and `on_end` has run."""
        end = self._container.stop(grace_s=0)
        self._watcher.join()
        return end

    def drain(self) -> None:
        """Give the lines that it has written so far before returning, within a second."""
        self._container.drain(_DRAIN_S)

    def peak_memory_bytes(self) -> int:
        """The most that it used so far; 0 when it has ended or the engine does not say."""
        return self._container.peak_memory_bytes()

    def _watch(self) -> None:
        while self._container.wait(threading.TIMEOUT_MAX) is None:
            pass
        self._on_end()


def function_spec(function: Function, zip_image: str, api: str) -> ContainerSpec:
    """What runs the function; `api` is the address of its Runtime API."""
    spec = ContainerSpec(
        name=f"lambda-{function.name}-{uuid.uuid4().hex[:12]}",
        image=zip_image,
        command=(function.handler,),
        base_dir=None,
        environment={**function.environment, "AWS_LAMBDA_RUNTIME_API": api},
        memory_mb=function.memory_mb,
        function=True,
    )
    image = function.image
    if image is None:
        environment = {**spec.environment, "LAMBDA_TASK_ROOT": TASK_ROOT, "_HANDLER": function.handler}
        mounts = (Mount(TASK_ROOT, function.code, writable=False),) if function.code else ()
        return replace(spec, environment=environment, mounts=mounts, working_directory=TASK_ROOT)
    return replace(
        spec,
        image=image.name,
        command=image.command,
        entrypoint=image.entrypoint,
        working_directory=image.working_directory,
    )
