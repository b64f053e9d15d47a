"""Following a container."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagemaker.runtime import Container, ContainerSpec, Exit
from stagemaker.runtime.fake import Behaviour, FakeProgram, FakeRuntime
from stagemaker.watcher import Signals, Why, follow
from tests.unit.plugin.fakes import FakeClock


@pytest.fixture
def runtimes() -> Iterator[list[FakeRuntime]]:
    made: list[FakeRuntime] = []
    yield made
    for runtime in made:
        runtime.close()


def started(runtimes: list[FakeRuntime], behaviour: Behaviour, folder: Path) -> Container:
    runtimes.append(FakeRuntime({"trainer": behaviour}))
    return runtimes[-1].start(ContainerSpec("c", "stagemaker/trainer", ("train",), folder), lambda line: None)


def waits(program: FakeProgram) -> int:
    program.sleep(30)
    return 0


def stubborn(program: FakeProgram) -> int:
    program.handles_sigterm = True
    while True:
        program.sleep(30)


def test_a_container_that_ends_by_itself(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    container = started(runtimes, lambda program: 3, tmp_path)
    end = follow(container, Signals(), FakeClock(), float("inf"), on_tick=lambda: None)
    assert end == (Why.EXITED, Exit(3))


def test_the_clock_ends_it(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    clock = FakeClock(100.0)
    container = started(runtimes, waits, tmp_path)

    def tick() -> None:
        clock.now = 160.0

    assert follow(container, Signals(), clock, 160.0, on_tick=tick) == (Why.TIMED_OUT, Exit(143))


def test_a_stop_gives_the_grace_period(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    signals = Signals()
    container = started(runtimes, stubborn, tmp_path)
    end = follow(container, signals, FakeClock(), float("inf"), on_tick=signals.stop, grace_s=0.2)
    assert end == (Why.STOPPED, Exit(137))


def test_an_abort_gives_none(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    signals = Signals()
    container = started(runtimes, stubborn, tmp_path)
    end = follow(container, signals, FakeClock(), float("inf"), on_tick=signals.abort, grace_s=3600)
    assert end == (Why.ABORTED, Exit(137))
