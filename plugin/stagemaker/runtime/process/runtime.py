"""Runs this repository's own images as plain processes, each in its image's environment, where there is no Docker."""

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError, shutting_down
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import (
    BASE,
    ContainerSpec,
    Exit,
    HardwareRefused,
    ImageRefused,
    IsolationRefused,
    Mount,
    MountRefused,
    Usage,
)
from stagemaker.runtime.credentials import LoopbackCredentials
from stagemaker.runtime.images import image_name, needs_docker
from stagemaker.runtime.ports import reserve_port
from stagemaker.runtime.process.child import Child
from stagemaker.runtime.process.environment import minimal_environment
from stagemaker.runtime.process.labels import Labels
from stagemaker.runtime.variables import asking, replaced

_PROGRAMS = ("train", "serve")
ONE_HOST = "Several instances need Docker: processes of one machine cannot find each other by name."
ONE_CONTAINER = "A model of several containers (Containers) needs Docker: a process has no network of its own to share."


class ProcessContainer:
    """A process, with everything that it started, in the form of a container."""

    hardware = "this machine, shared with everything else that runs on it"

    def __init__(
        self, spec: ContainerSpec, address: tuple[str, int] | None, notes: tuple[str, ...], child: Child
    ) -> None:
        self.spec = spec
        self.notes = notes
        self.address = self.published = address
        self.base = str(spec.base_dir.absolute()) if spec.base_dir else BASE
        self.child = child

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.child.poll() is None

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs or has output to give."""
        return self.child.poll()

    def wait(self, timeout_s: float) -> Exit | None:
        """As `poll`, after at most `timeout_s`."""
        return self.child.wait(timeout_s)

    def usage(self) -> Usage | None:
        """What its processes use now; None when it has ended."""
        return self.child.usage() if self.running else None

    def stop(self, grace_s: float) -> Exit:
        """SIGTERM to the process, SIGKILL to all of it after `grace_s`. Not from inside `on_line`."""
        return self.child.stop(grace_s)


class ProcessRuntime:
    """Runs processes. `images` is the folder with a folder an image, `environments` that with a Python environment an
    image, `work_dir` the state that it shares with its earlier instances: two at once over one would kill each other's.
    """

    def __init__(self, images: Path, environments: Path, work_dir: Path, supervisor: Supervisor) -> None:
        self._images, self._environments = images.resolve(), environments.absolute()
        self._labels, self._supervisor = Labels(work_dir), supervisor
        self._credentials = LoopbackCredentials(supervisor)
        self._lock = threading.Lock()
        self._running: dict[str, Child] = {}  # by the text of its label
        self._closed = False

    def check_image(self, image: str, entrypoint: tuple[str, ...] | None = None, command: tuple[str, ...] = ()) -> None:
        """Refuse every image that is not this repository's, and every program that is not SageMaker's."""
        if image_name(image) not in self._names():
            raise ImageRefused(needs_docker(image, self._names()))
        if entrypoint is not None:
            raise ImageRefused(f"{image!r} needs Docker to run another program: leave out ContainerEntrypoint.")
        folder = self._images / (image_name(image) or "")
        if command and not (command[0] in _PROGRAMS and (folder / command[0]).is_file()):
            raise ImageRefused(f"{image!r} has no program {command[0]!r}: another than its own needs Docker.")

    def pin(self, image: str) -> str:
        """The name as it is: what runs are the files of this machine, which have no digest."""
        self.check_image(image)
        return image

    def check_mounts(self, targets: Iterable[str]) -> None:
        """Refuse a folder that is not below BASE: a process sees the machine's own folders everywhere else."""
        for target in targets:
            if not PurePosixPath(target).is_relative_to(BASE):
                raise MountRefused(f"A folder at {target} needs Docker: a process has folders below {BASE} only.")

    def check_hardware(self, instance_type: str, hosts: int) -> None:  # noqa: ARG002 - any type is this machine
        """Refuse more than one host."""
        if hosts > 1:
            raise HardwareRefused(ONE_HOST)

    def check_isolation(self) -> None:
        """Refuse it: processes have the machine's network."""
        raise IsolationRefused("Network isolation needs Docker: a process has the network of its machine.")

    def check_shared_instance(self, images: Iterable[str]) -> None:  # noqa: ARG002 - none can
        """Refuse it: processes share the network of their machine with everything else."""
        raise ImageRefused(ONE_CONTAINER)

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> ProcessContainer:
        """Start the image's program in its environment."""
        self.check_image(spec.image, spec.entrypoint, spec.command)
        name = image_name(spec.image) or ""
        base, program = spec.base_dir, self._images / name / spec.command[0]
        alone = not spec.isolated and not spec.instance and not (spec.group and spec.host)
        if base is None or not alone or not all(_in_place(mount, base) for mount in spec.mounts):
            ways = "with other folders, in a group, or isolated"
            raise ImageRefused(f"{spec.image!r} cannot be run so without Docker: {ways}.")
        try:
            return self._start(spec, base, name, [str(program), *spec.command[1:]], on_line)
        except (OSError, ValueError) as error:
            message = f"The process runtime cannot start {spec.image!r}: {explain(error)}."
            raise ApiError("InternalFailure", message, 500) from error

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Callable[[Path], Mapping[str, str]],
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
    ) -> Child:
        """Run any command as this runtime runs an image's: found again by its label, killed by `close`.

        `environment` is called with the temporary folder that it has for itself. `on_end` runs once, when nothing of it
        is left, also when this raises: OSError or ValueError when it cannot be started, ServiceUnavailable (503) after
        the end."""
        label = self._labels.new(name)
        cleanup = ExitStack()

        def end() -> None:
            with self._lock:  # not before it is among those that run
                self._running.pop(label.text, None)
            cleanup.close()

        with ExitStack() as undo:
            undo.enter_context(cleanup)
            cleanup.callback(on_end)
            cleanup.callback(shutil.rmtree, label.folder, ignore_errors=True)  # if the keeper was killed
            with self._lock:
                if self._closed or self._supervisor.closing:
                    raise shutting_down()
                label.folder.mkdir(mode=0o700)
                child = self._running[label.text] = Child(
                    command,
                    folder=folder,
                    temporary=label.folder,
                    environment=environment(label.folder),
                    label=label.text,
                    on_line=on_line,
                    on_end=end,
                    supervisor=self._supervisor,
                )
            undo.pop_all()
        return child

    def sweep(self) -> int:
        """Kill what earlier processes over the same state left. What this process started stays."""
        return self._labels.sweep()

    def close(self) -> None:
        """Kill everything, and start nothing any more."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for child in running:
            child.kill()
        self._credentials.close()

    def _names(self) -> list[str]:
        """The images that have a program of SageMaker's contract."""
        programs = (path for program in _PROGRAMS for path in self._images.glob(f"*/{program}") if path.is_file())
        return sorted({path.parent.name for path in programs}, reverse=True)

    def _start(
        self, spec: ContainerSpec, base: Path, name: str, command: list[str], on_line: Callable[[str], None]
    ) -> ProcessContainer:
        python = self._environments / name / "bin" / "python"
        if not os.access(python, os.X_OK):
            raise FileNotFoundError(f"its environment {name!r} is not installed")
        cleanup = ExitStack()
        with ExitStack() as undo:
            undo.callback(cleanup.close)
            port = reserve_port() if spec.serves else None
            if port:
                cleanup.callback(port.close)
            given, taken = self._with_credentials(spec, cleanup)
            address = port.getsockname() if port else None
            own = _own_variables(base.absolute(), address)
            child = self.run(
                spec.name,
                [str(python), *command],
                folder=base,
                environment=lambda temporary: {
                    **minimal_environment(python, base.absolute(), temporary),
                    **given,
                    **own,
                    "PYTHONPATH": ":".join(filter(None, (str(self._images.parent), given.get("PYTHONPATH")))),
                },
                on_line=on_line,
                on_end=cleanup.close,
            )
            undo.pop_all()
        return ProcessContainer(spec, address, (*spec.notes, *taken, *replaced(spec.environment, own)), child)

    def _with_credentials(self, spec: ContainerSpec, cleanup: ExitStack) -> tuple[Mapping[str, str], tuple[str, ...]]:
        """The spec's variables, with the address where a program asks for its role's credentials in place of these, and
        what of the caller's variables that takes away."""
        if spec.credentials is None:
            return spec.environment, ()
        where, forget = self._credentials.add(spec.credentials)
        cleanup.callback(forget)
        return asking(spec.environment, where)


def _in_place(mount: Mount, base: Path) -> bool:
    """Whether the program finds the folder where it is, since `base` stands for BASE."""
    target = PurePosixPath(mount.target)
    return target.is_relative_to(BASE) and mount.folder == base / target.relative_to(BASE)


def _own_variables(base: Path, address: tuple[str, int] | None) -> dict[str, str]:
    served = {"SAGEMAKER_BIND_TO_PORT": str(address[1]), "STAGEMAKER_BIND_HOST": address[0]} if address else {}
    return {"SAGEMAKER_BASE_DIR": str(base), **served}
