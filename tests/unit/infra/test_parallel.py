"""Tasks at the same time. Each test waits for events, never for a time."""

import _thread
import signal
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from threading import Barrier, Event

import pytest

from infra import parallel, wait
from infra.parallel import Task

LIMIT_S = 60.0  # no test comes near it


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """What interrupts the main thread, also where SIGINT is ignored, as in a background job of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield _thread.interrupt_main
    signal.signal(signal.SIGINT, before)


def after(*indices: int) -> frozenset[int]:
    return frozenset(indices)


def raising(error: Exception) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def forever() -> None:
    """Waits until it is cancelled."""
    while True:
        wait.pause(LIMIT_S, "nothing")


def test_each_runs_after_those_it_depends_on() -> None:
    journal: list[str] = []
    tasks = [
        Task(lambda: journal.append("c"), after(1)),
        Task(lambda: journal.append("b"), after(2)),
        Task(lambda: journal.append("a")),
    ]
    parallel.run(tasks)
    assert journal == ["a", "b", "c"]


def test_two_that_do_not_depend_on_each_other_run_at_once() -> None:
    together = Barrier(2, timeout=LIMIT_S)
    parallel.run([Task(together.wait), Task(together.wait)])
    assert not together.broken


def test_no_more_than_so_many_run_at_once() -> None:
    running, most = SimpleQueue[int](), list[int]()

    def work() -> None:
        running.put(1)
        most.append(running.qsize())
        running.get()

    parallel.run([Task(work) for _ in range(20)], at_once=1)
    assert most == [1] * 20


def test_after_a_failure_no_other_begins_and_what_runs_is_cancelled() -> None:
    began, journal = Event(), list[str]()

    def waits() -> None:
        began.set()
        forever()

    def fails() -> None:
        began.wait(LIMIT_S)
        raise KeyError("broken")

    tasks = [Task(waits), Task(fails), Task(lambda: journal.append("late"), after(0))]
    with pytest.raises(KeyError, match="broken"):
        parallel.run(tasks)
    assert journal == []


def test_several_failures_come_together() -> None:
    together = Barrier(2, timeout=LIMIT_S)

    def fails() -> None:
        together.wait()
        raise KeyError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        parallel.run([Task(fails), Task(fails)])
    assert [type(error) for error in caught.value.exceptions] == [KeyError, KeyError]


def test_where_it_goes_on_only_what_comes_after_a_failure_is_left_out() -> None:
    journal: list[str] = []
    tasks = [
        Task(raising(KeyError("broken"))),
        Task(lambda: journal.append("blocked"), after(0)),
        Task(lambda: journal.append("first")),
        Task(lambda: journal.append("second"), after(2)),
    ]
    with pytest.raises(KeyError):
        parallel.run(tasks, goes_on=True, at_once=1)
    assert journal == ["first", "second"]


def test_an_interrupt_ends_the_waits_of_all(ctrl_c: Callable[[], None]) -> None:
    ended = SimpleQueue[str]()

    def waits() -> None:
        try:
            forever()
        except wait.Cancelled:
            ended.put("cancelled")
            raise

    with pytest.raises(KeyboardInterrupt):
        parallel.run([Task(waits), Task(waits), Task(ctrl_c)])
    assert [ended.get(timeout=LIMIT_S) for _ in range(2)] == ["cancelled", "cancelled"]


def test_an_interrupt_does_not_wait_for_a_call_that_never_ends(
    monkeypatch: pytest.MonkeyPatch, ctrl_c: Callable[[], None]
) -> None:
    monkeypatch.setattr(parallel, "GRACE_S", 0.05)
    with pytest.raises(KeyboardInterrupt):
        parallel.run([Task(partial(Event().wait, 10 * LIMIT_S)), Task(ctrl_c)])


def test_what_a_task_waits_for_is_said_by_its_own_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "FIRST_TOLD_S", 0.0)
    said: list[str] = []

    def work() -> None:
        for _ in range(2):
            wait.pause(0, "InService")

    parallel.run([Task(work, say=said.append)])
    assert said == ["waits for InService (0 s)"]


def test_no_tasks() -> None:
    parallel.run([])
