"""A container of an engine that misbehaves: the real one does so too rarely to wait for it."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec, Exit
from stagemaker.runtime.docker import container as module
from stagemaker.runtime.docker.container import NOT_FOLLOWED, NOT_KILLED, DockerContainer
from stagemaker.runtime.docker.engine import EngineError, EngineGone
from stagemaker.runtime.docker.frames import Frames
from tests.unit.plugin.polling import until

LONG_S = 10


class StuckEngine:
    """One that kills nothing; the container ends when `ended` is set."""

    def __init__(self) -> None:
        self.ended, self.inspected = threading.Event(), threading.Event()

    def kill(self, _container: str, _signal: str) -> None:
        raise EngineError("tried to kill container, but did not receive an exit event", 500)

    def wait(self, _container: str, _timeout_s: int) -> int:
        if not self.ended.wait(0.02):
            raise EngineGone("timed out")
        return 0

    def inspect(self, _container: str) -> dict[str, Any]:
        self.inspected.set()
        return {"State": {}, "HostConfig": {"Memory": 0}}


class BrokenFrames(Frames):
    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        raise ValueError("no frame")


class ContainerEnvironment:
    """A container whose output `sender` sends."""

    def __init__(self) -> None:
        self.engine, self.lines, self.ends = StuckEngine(), list[str](), list[str]()
        self.container: DockerContainer | None = None
        self.ran_at_end: bool | None = None
        self.sender, self.receiver = socket.socketpair()

    def start(self, output: type[Frames] = Frames) -> DockerContainer:
        self.container = DockerContainer(
            ContainerSpec("name", "image", (), None), self.engine, "id",  # type: ignore[arg-type]
            ip="", address=None, hardware="", output=output(self.receiver), on_line=self.lines.append,
            on_end=self.remove, supervisor=Supervisor(),
        )  # fmt: skip
        return self.container

    def remove(self) -> None:
        self.ran_at_end = self.container.running if self.container else None
        self.ends.append("end")


@pytest.fixture
def environment() -> Iterator[ContainerEnvironment]:
    made = ContainerEnvironment()
    yield made
    made.engine.ended.set()
    made.sender.close()
    made.receiver.close()


@pytest.mark.parametrize("silent", [True, False])
def test_a_refused_kill_does_not_wait_for_ever(
    environment: ContainerEnvironment, monkeypatch: pytest.MonkeyPatch, silent: bool
) -> None:
    monkeypatch.setattr(module, "_KILL_S", 0.1)
    container = environment.start()
    if silent:
        environment.sender.close()
    lost = Exit(137, NOT_KILLED, lost=True)
    assert [container.kill(), container.stop(0), container.poll()] == [lost] * 3
    environment.engine.ended.set()
    assert container.wait(LONG_S) == lost
    assert environment.ends == ["end"]


def test_output_that_breaks_is_an_end(environment: ContainerEnvironment) -> None:
    assert environment.start(BrokenFrames).wait(LONG_S) == Exit(137, NOT_FOLLOWED, lost=True)
    assert environment.ends == ["end"]


def test_it_does_not_run_any_more_before_it_is_removed(environment: ContainerEnvironment) -> None:
    container = environment.start()
    assert container.running
    environment.sender.close()
    environment.engine.ended.set()
    assert container.wait(LONG_S) == Exit(0)
    assert (environment.ran_at_end, container.running) == (False, False)


def test_without_an_output_it_may_run_on(environment: ContainerEnvironment) -> None:
    container = environment.start()
    environment.sender.close()
    assert environment.engine.inspected.wait(LONG_S)
    until(lambda: container.running, "it runs on")
    assert container.poll() is None


@pytest.mark.parametrize("stream", [0, 1, 2, 3])
def test_a_stream_of_any_number_is_output(environment: ContainerEnvironment, stream: int) -> None:
    container = environment.start()
    environment.sender.sendall(bytes([stream, 0, 0, 0, 0, 0, 0, 6]) + b"hello\n")
    environment.sender.close()
    environment.engine.ended.set()
    assert container.wait(LONG_S) == Exit(0)
    assert environment.lines == ["hello"]
