"""A runtime without processes, for tests of what stands on a runtime: its programs are Python functions in threads.

It keeps the same contract as the others, and the same suite says so. Use it as
`FakeRuntime({"trainer": train})` with `def train(program: FakeProgram) -> int`: it returns the exit code, or an Exit.
"""

import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path

from stagemaker.core.errors import ApiError, shutting_down
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BIND_LABEL, ContainerSpec, Exit, ImageRefused, Usage
from stagemaker.runtime.images import by_digest, image_name, lacks_label, needs_docker
from stagemaker.runtime.lines import LineSplitter, give
from stagemaker.runtime.ports import reserve_port


class _Signalled(BaseException):
    """Unwinds a program that a signal ends; not an Exception, so that a program does not catch it."""


class FakeProgram:
    """What a scripted program sees: what to run, where to write, and signals, which reach it in these methods."""

    def __init__(self, spec: ContainerSpec, address: tuple[str, int] | None, on_line: Callable[[str], None]) -> None:
        self.spec = spec
        self.base = spec.base_dir or Path()  # as in a process
        self.address = address
        self.handles_sigterm = False  # when True, SIGTERM only makes `sleep` return True
        self._on_line, self._splitter = on_line, LineSplitter()
        self._changed = threading.Condition()
        self._signals: set[int] = set()
        self._told = False  # that SIGTERM came

    def path(self, target: str) -> Path:
        """The folder that a container would see at `target`. KeyError when nothing is mounted there."""
        return {mount.target: mount.folder for mount in self.spec.mounts}[target]

    def say(self, line: str) -> None:
        """Write a line of output."""
        self.write(line.encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Write to the output, any bytes."""
        with self._changed:
            self._die_if_signalled()
        give(self._splitter.feed(data), self._on_line)

    def sleep(self, timeout_s: float) -> bool:
        """Wait for a signal; whether a handled SIGTERM has come."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._signals) > self._told, timeout_s)
            self._die_if_signalled()
            self._told = signal.SIGTERM in self._signals
            return self._told

    def _die_if_signalled(self) -> None:
        if signal.SIGKILL in self._signals:
            raise _Signalled(signal.SIGKILL)
        if signal.SIGTERM in self._signals and not self.handles_sigterm:
            raise _Signalled(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with self._changed:
            self._signals.add(number)
            self._changed.notify_all()

    def _run(self, behaviour: "Behaviour") -> Exit:
        try:
            code = behaviour(self)
            end = code if isinstance(code, Exit) else Exit(code)
        except _Signalled as signalled:
            end = Exit(128 + int(signalled.args[0]))
        except Exception:  # noqa: BLE001 - the program's own, whatever it is
            give(traceback.format_exc().splitlines(), self._on_line)
            end = Exit(1)
        give(self._splitter.finish(), self._on_line)
        return end


Behaviour = Callable[[FakeProgram], int | Exit]


class FakeContainer:
    """A program in a thread of `supervisor`, which ends with it."""

    hardware = "nothing: it is a fake"

    def __init__(self, program: FakeProgram, behaviour: Behaviour, cleanup: ExitStack, supervisor: Supervisor) -> None:
        self.spec, self.address, self.notes = program.spec, program.address, program.spec.notes
        self.base, self.published = str(program.base), program.address
        self.uses = Usage(cpu_s=0.1, memory_bytes=1 << 20, memory_limit_bytes=1 << 30)
        self.graces_s: list[float] = []  # of the calls of `stop`
        self._program, self._behaviour, self._cleanup = program, behaviour, cleanup
        self._end: Future[Exit] = Future()
        supervisor.follow(f"fake {self.spec.name}", self._run)

    @property
    def running(self) -> bool:
        """Whether the program has not returned yet."""
        return not self._end.done()

    def poll(self) -> Exit | None:
        """What the program returned, or None while it runs."""
        return self._end.result() if self._end.done() else None

    def wait(self, timeout_s: float) -> Exit | None:
        """As `poll`, after at most `timeout_s`."""
        try:
            return self._end.result(timeout_s)
        except TimeoutError:
            return None

    def usage(self) -> Usage | None:
        """What the test says."""
        return self.uses if self.running else None

    def stop(self, grace_s: float) -> Exit:
        """Signal the program, and wait for it: one that does not return to FakeProgram's methods cannot be stopped."""
        self.graces_s.append(grace_s)
        self._program._signal(signal.SIGTERM)
        if not self.wait(grace_s):
            self._program._signal(signal.SIGKILL)
        return self._end.result()

    def _run(self) -> None:
        end = self._program._run(self._behaviour)
        self._cleanup.close()
        self._end.set_result(end)


class FakeRuntime:
    """Runs Python functions as images. `behaviours`: what each image, by its short name such as `trainer`, does.
    `digests`: what an image's name means now, where a test wants digests. `unlabelled`: the images, by their short
    names, that do not say that they listen at any port. `started` are the specs and `containers` the containers of all
    starts so far, for a test to compare. `supervisor` None: one of its own."""

    def __init__(self, behaviours: Mapping[str, Behaviour], supervisor: Supervisor | None = None) -> None:
        self.behaviours = dict(behaviours)
        self.digests: dict[str, str] = {}
        self.unlabelled: set[str] = set()
        self.started: list[ContainerSpec] = []
        self._supervisor = supervisor or Supervisor()
        self.containers: list[FakeContainer] = []
        self._lock = threading.Lock()
        self._closed = False

    def check_image(
        self,
        image: str,
        entrypoint: tuple[str, ...] | None = None,  # noqa: ARG002 - recorded in `started`
        command: tuple[str, ...] = (),  # noqa: ARG002
    ) -> None:
        """Refuse an image that `behaviours` does not have."""
        if image_name(image) not in self.behaviours:
            raise ImageRefused(needs_docker(image, sorted(self.behaviours, reverse=True)))

    def pin(self, image: str) -> str:
        """With the digest that `digests` has for it."""
        self.check_image(image)
        return by_digest(image, self.digests[image]) if image in self.digests else image

    def check_mounts(self, targets: Iterable[str]) -> None:
        """Every path is a good one."""

    def check_hardware(self, instance_type: str, hosts: int) -> None:
        """Every type and number is given."""

    def check_isolation(self) -> None:
        """A fake has no network."""

    def check_shared_instance(self, images: Iterable[str]) -> None:
        """Refuse the images that are `unlabelled`."""
        for image in images:
            if image_name(image) in self.unlabelled:
                raise ImageRefused(lacks_label(image, BIND_LABEL))

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> FakeContainer:
        """Run the behaviour of the spec's image."""
        self.check_image(spec.image)
        if not all(folder.is_dir() for folder in (spec.base_dir or Path(), *(mount.folder for mount in spec.mounts))):
            raise ApiError("InternalFailure", "A folder of the container does not exist.", 500)
        with self._lock, ExitStack() as undo:
            if self._closed or self._supervisor.closing:
                raise shutting_down()
            port = undo.enter_context(reserve_port()) if spec.serves else None
            program = FakeProgram(spec, port.getsockname() if port else None, on_line)
            behaviour = self.behaviours[image_name(spec.image) or ""]
            container = FakeContainer(program, behaviour, undo.pop_all(), self._supervisor)
            self.containers.append(container)
            self.started.append(spec)
        return container

    def sweep(self) -> int:
        """Nothing: threads end with their process."""
        return 0

    def close(self) -> None:
        """Stop every program, and start none any more."""
        with self._lock:
            self._closed = True
            containers = list(self.containers)
        for container in containers:
            container.stop(grace_s=0)
