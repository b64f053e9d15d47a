"""Runs this repository's own images as plain processes, each in its image's environment, where there is no Docker."""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import ContainerSpec, Exit, HardwareRefused, ImageRefused
from stagemaker.runtime.images import image_name, needs_docker
from stagemaker.runtime.ports import reserve_port
from stagemaker.runtime.process.child import Child
from stagemaker.runtime.process.environment import minimal_environment
from stagemaker.runtime.process.labels import Labels

_PROGRAMS = ("train", "serve")
ONE_HOST = "Several instances need Docker: processes of one machine cannot find each other by name."


class ProcessContainer:
    """See Container."""

    hardware = "this machine, shared with everything else that runs on it"

    def __init__(self, spec: ContainerSpec, address: tuple[str, int] | None, child: Child) -> None:
        self.spec = spec
        self.address = address
        self.child = child

    @property
    def running(self) -> bool:
        """See Container."""
        return self.child.poll() is None

    def poll(self) -> Exit | None:
        """See Container."""
        return self.child.poll()

    def wait(self, timeout_s: float) -> Exit | None:
        """See Container."""
        return self.child.wait(timeout_s)

    def stop(self, grace_s: float) -> Exit:
        """See Container. Not from inside `on_line`."""
        return self.child.stop(grace_s)


class ProcessRuntime:
    """See Runtime. `images` is the folder with a folder an image, `environments` that with a Python environment an
    image, `work_dir` the state that it shares with its earlier instances: two at once over one would kill each other's.
    """

    def __init__(self, images: Path, environments: Path, work_dir: Path) -> None:
        self._images, self._environments = images.resolve(), environments.absolute()
        self._labels = Labels(work_dir)
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._closed = False

    def check_image(self, image: str, entrypoint: tuple[str, ...] | None = None, command: tuple[str, ...] = ()) -> None:
        """See Runtime."""
        if image_name(image) not in self._names():
            raise ImageRefused(needs_docker(image, self._names()))
        if entrypoint is not None:
            raise ImageRefused(f"{image!r} needs Docker to run another program: leave out ContainerEntrypoint.")
        folder = self._images / (image_name(image) or "")
        if command and not (command[0] in _PROGRAMS and (folder / command[0]).is_file()):
            raise ImageRefused(f"{image!r} has no program {command[0]!r}: another than its own needs Docker.")

    def check_hardware(self, instance_type: str, hosts: int) -> None:  # noqa: ARG002 - any type is this machine
        """See Runtime."""
        if hosts > 1:
            raise HardwareRefused(ONE_HOST)

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> ProcessContainer:
        """See Runtime."""
        self.check_image(spec.image, spec.entrypoint, spec.command)
        name = image_name(spec.image) or ""
        if spec.folders or spec.group or spec.base_dir is None:
            raise ImageRefused(f"{spec.image!r} cannot be run so without Docker: with other folders, or in a group.")
        base, program = spec.base_dir, self._images / name / spec.command[0]
        try:
            with self._lock:
                return self._start(spec, base, name, [str(program), *spec.command[1:]], on_line)
        except (OSError, ValueError) as error:
            message = f"The process runtime cannot start {spec.image!r}: {error}."
            raise ApiError("InternalFailure", message, 500) from error

    def sweep(self) -> int:
        """See Runtime. An instance is a process here: what this one started stays."""
        return self._labels.sweep()

    def close(self) -> None:
        """See Runtime."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            child.kill()

    def _names(self) -> list[str]:
        """The images that have a program of SageMaker's contract."""
        programs = (path for program in _PROGRAMS for path in self._images.glob(f"*/{program}") if path.is_file())
        return sorted({path.parent.name for path in programs}, reverse=True)

    def _start(
        self, spec: ContainerSpec, base: Path, name: str, command: list[str], on_line: Callable[[str], None]
    ) -> ProcessContainer:
        if self._closed:
            raise OSError("it is closed")
        python = self._environments / name / "bin" / "python"
        if not os.access(python, os.X_OK):
            raise FileNotFoundError(f"its environment {name!r} is not installed")
        label = self._labels.new(spec.name)
        with ExitStack() as undo:
            cleanup = undo.enter_context(ExitStack())
            label.folder.mkdir(mode=0o700)
            cleanup.callback(shutil.rmtree, label.folder, ignore_errors=True)
            port = cleanup.enter_context(reserve_port()) if spec.serves else None
            address = port.getsockname() if port else None
            child = Child(
                [str(python), *command],
                folder=base,
                environment=self._environment(spec, base.absolute(), python, label.folder, address),
                label=label.text,
                on_line=on_line,
                on_end=lambda: self._end(cleanup),
            )
            self._running.add(child)
            cleanup.callback(self._running.discard, child)
            undo.pop_all()
        return ProcessContainer(spec, address, child)

    def _end(self, cleanup: ExitStack) -> None:
        with self._lock:  # not before `_start` has returned
            cleanup.close()

    def _environment(
        self, spec: ContainerSpec, base: Path, python: Path, temporary: Path, address: tuple[str, int] | None
    ) -> dict[str, str]:
        environment = {
            **minimal_environment(python, base, temporary),
            **spec.environment,
            "PYTHONPATH": str(self._images.parent),
            "SAGEMAKER_BASE_DIR": str(base),
        }
        if address:
            environment |= {"SAGEMAKER_BIND_TO_PORT": str(address[1]), "STAGEMAKER_BIND_HOST": address[0]}
        return environment
