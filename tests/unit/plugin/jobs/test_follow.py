"""Following containers."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from stagemaker.core.signals import Signals
from stagemaker.core.supervisor import Supervisor
from stagemaker.jobs import follow as module
from stagemaker.jobs.follow import End, EndReason
from stagemaker.runtime.contract import Container, ContainerSpec, Exit
from stagemaker.runtime.fake import Behaviour, FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import FakeClock


@pytest.fixture
def runtimes() -> Iterator[list[FakeRuntime]]:
    made: list[FakeRuntime] = []
    yield made
    for runtime in made:
        runtime.close()


def started(runtimes: list[FakeRuntime], folder: Path, *behaviours: Behaviour) -> list[Container]:
    runtimes.append(FakeRuntime({f"image-{number}": behaviour for number, behaviour in enumerate(behaviours)}))
    specs = [ContainerSpec(f"c{n}", f"stagemaker/image-{n}", ("train",), folder) for n in range(len(behaviours))]
    return [runtimes[-1].start(spec, lambda line: None) for spec in specs]


def waits(program: FakeProgram) -> int:
    program.sleep(30)
    return 0


def stubborn(program: FakeProgram) -> int:
    program.handles_sigterm = True
    while True:
        program.sleep(30)


def after(delay_s: float, code: int) -> Behaviour:
    def behaves(program: FakeProgram) -> int:
        program.sleep(delay_s)
        return code

    return behaves


follow = partial(module.follow, supervisor=Supervisor())


def never() -> None:
    """Nothing to do meanwhile."""


@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_end_by_themselves_one_after_another(tmp_path: Path, runtimes: list[FakeRuntime], count: int) -> None:
    containers = started(runtimes, tmp_path, *(after(0.05 * number, 0) for number in range(count)))
    end = follow(containers, Signals(), FakeClock(), float("inf"), on_tick=never)
    assert end == End(EndReason.EXITED, (Exit(0),) * count)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_that_fails_ends_the_others_soon(tmp_path: Path, runtimes: list[FakeRuntime], count: int) -> None:
    others = (stubborn, waits)[: count - 1]
    containers = started(runtimes, tmp_path, *others, after(0.05, 3))
    end = follow(containers, Signals(), FakeClock(), float("inf"), on_tick=never, sibling_grace_s=0.05)
    assert end == End(EndReason.EXITED, (*(Exit(137), Exit(143))[: count - 1], Exit(3)), failed=count - 1)


def test_one_that_ended_well_does_not_end_the_others(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    ticks: list[bool] = []
    containers = started(runtimes, tmp_path, lambda program: 0, after(0.3, 4))
    end = follow(containers, Signals(), FakeClock(), float("inf"), on_tick=lambda: ticks.append(True))
    assert end == End(EndReason.EXITED, (Exit(0), Exit(4)), failed=1)
    assert ticks


@pytest.mark.parametrize("count", [1, 3])
def test_the_clock_ends_all(tmp_path: Path, runtimes: list[FakeRuntime], count: int) -> None:
    clock = FakeClock(100.0)
    containers = started(runtimes, tmp_path, *[waits] * count)

    def tick() -> None:
        clock.now = 160.0

    assert follow(containers, Signals(), clock, 160.0, on_tick=tick) == End(EndReason.TIMED_OUT, (Exit(143),) * count)


def test_a_stop_reaches_all_at_the_same_moment(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    together = threading.Barrier(3)

    def meets(program: FakeProgram) -> int:
        program.handles_sigterm = True
        program.sleep(30)
        together.wait(20)  # for the others to get their SIGTERM while this one is still there
        return 0

    signals = Signals()
    end = follow(
        started(runtimes, tmp_path, *[meets] * 3),
        signals,
        FakeClock(),
        float("inf"),
        supervisor=Supervisor(),
        on_tick=signals.stop,
    )
    assert end == End(EndReason.STOPPED, (Exit(0),) * 3)


def test_a_stop_kills_after_the_grace_period(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    signals = Signals()
    containers = started(runtimes, tmp_path, stubborn, waits)
    end = follow(containers, signals, FakeClock(), float("inf"), on_tick=signals.stop, grace_s=0.2)
    assert end == End(EndReason.STOPPED, (Exit(137), Exit(143)))


def test_an_abort_gives_none(tmp_path: Path, runtimes: list[FakeRuntime]) -> None:
    signals = Signals()
    containers = started(runtimes, tmp_path, stubborn, stubborn)
    end = follow(containers, signals, FakeClock(), float("inf"), on_tick=signals.abort, grace_s=3600)
    assert end == End(EndReason.ABORTED, (Exit(137), Exit(137)))
