"""Who starts threads, and how all of them end."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stagemaker.core import supervisor as module
from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from tests.unit.plugin.polling import until

LONG_S = 10.0


@pytest.fixture
def supervisor() -> Supervisor:
    return Supervisor(tasks_wait_s=LONG_S)


def waiting(supervisor: Supervisor, name: str, told: list[str] | None = None) -> threading.Event:
    """A task that works until it is cancelled; the event that it waits for."""
    go_on = threading.Event()

    def cancel() -> None:
        if told is not None:
            told.append(f"cancel {name}")
        go_on.set()

    supervisor.start(name, lambda: go_on.wait(LONG_S), cancel=cancel)
    return go_on


def test_a_task_runs_in_a_thread_of_its_name(supervisor: Supervisor) -> None:
    names: list[str] = []
    task = supervisor.start("the job", lambda: names.append(threading.current_thread().name), cancel=lambda: None)
    assert task.join(LONG_S)
    assert (task.name, names, supervisor.threads()) == ("the job", ["the job"], [])


def test_join_says_whether_the_task_has_ended(supervisor: Supervisor) -> None:
    go_on = threading.Event()
    task = supervisor.start("slow", lambda: go_on.wait(LONG_S), cancel=go_on.set)
    assert not task.join(0.01)
    assert supervisor.threads() == ["slow"]
    go_on.set()
    assert task.join(LONG_S)


@pytest.mark.parametrize("sort", ["task", "follower"])
def test_what_a_thread_raises_is_logged_and_ends_it(
    supervisor: Supervisor, sort: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ValueError("no such dog")

    with caplog.at_level(logging.ERROR, module.__name__):
        if sort == "task":
            assert supervisor.start("failing", fail, cancel=lambda: None).join(LONG_S)
        else:
            supervisor.follow("failing", fail).join(LONG_S)
    assert "the thread failing" in caplog.text
    assert "no such dog" in caplog.text
    assert supervisor.threads() == []


def test_the_names_of_all_threads_in_order(supervisor: Supervisor) -> None:
    go_on = waiting(supervisor, "b")
    follower = supervisor.follow("a", lambda: go_on.wait(LONG_S))
    assert supervisor.threads() == ["a", "b"]
    go_on.set()
    follower.join(LONG_S)
    until(lambda: supervisor.threads() == [], "the end of the task")


def test_close_cancels_tasks_in_the_order_of_their_starts_and_waits_for_them(supervisor: Supervisor) -> None:
    before = threading.active_count()
    told: list[str] = []
    for name in ("first", "second", "third"):
        waiting(supervisor, name, told)
    assert not supervisor.closing
    supervisor.close()
    assert told == ["cancel first", "cancel second", "cancel third"]
    assert (supervisor.closing, supervisor.threads()) == (True, [])
    until(lambda: threading.active_count() <= before, "the end of all threads")


def test_after_close_every_start_has_the_one_answer(supervisor: Supervisor) -> None:
    supervisor.refuse_when_closing()
    supervisor.close()
    ran: list[str] = []
    for refused in (
        lambda: supervisor.start("late", lambda: ran.append("late"), cancel=lambda: None),
        supervisor.refuse_when_closing,
    ):
        with pytest.raises(ApiError) as failure:
            refused()
        assert (failure.value.code, failure.value.status) == ("ServiceUnavailable", 503)
    assert (ran, supervisor.threads()) == ([], [])


def test_a_task_that_is_told_to_end_can_start_no_other(supervisor: Supervisor) -> None:
    refused: list[str] = []
    cancelled = threading.Event()

    def work() -> None:
        cancelled.wait(LONG_S)
        try:
            supervisor.start("child", lambda: None, cancel=lambda: None)
        except ApiError as error:
            refused.append(error.code)

    supervisor.start("parent", work, cancel=cancelled.set)
    supervisor.close()
    assert refused == ["ServiceUnavailable"]


def test_a_follower_starts_while_close_goes_on(supervisor: Supervisor) -> None:
    read: list[str] = []
    supervisor.own(lambda: supervisor.follow("last words", lambda: read.append("all")))
    supervisor.close()
    assert (read, supervisor.threads()) == (["all"], [])


def test_what_is_owned_is_closed_last_first_when_no_task_is_left(supervisor: Supervisor) -> None:
    told: list[str] = []
    for name in ("store", "runtime"):
        supervisor.own(lambda name=name: told.append(f"{name} {supervisor.threads()}"))  # type: ignore[misc]
    waiting(supervisor, "job", told)
    supervisor.close()
    assert told == ["cancel job", "runtime []", "store []"]


def test_followers_end_with_what_they_follow(supervisor: Supervisor) -> None:
    output_ended = threading.Event()
    supervisor.follow("output", lambda: output_ended.wait(LONG_S))
    supervisor.own(output_ended.set)
    supervisor.close()
    assert supervisor.threads() == []


def test_close_tries_everything_whatever_raises(supervisor: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def fail() -> None:
        raise OSError("it is broken")

    go_on = threading.Event()
    supervisor.start("deaf", lambda: go_on.wait(LONG_S), cancel=fail)
    waiting(supervisor, "job", told)
    supervisor.own(lambda: told.append("closed"))
    supervisor.own(fail)
    threading.Timer(0.05, go_on.set).start()
    with caplog.at_level(logging.ERROR, module.__name__):
        supervisor.close()
    assert told == ["cancel job", "closed"]
    assert caplog.text.count("OSError: it is broken") == 2
    assert supervisor.threads() == []


def test_a_task_that_does_not_end_is_not_waited_for_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    supervisor, go_on, closed = Supervisor(tasks_wait_s=0.05), threading.Event(), threading.Event()
    supervisor.start("stuck", lambda: go_on.wait(LONG_S), cancel=lambda: None)
    supervisor.own(closed.set)
    with caplog.at_level(logging.WARNING, module.__name__):
        supervisor.close()
    assert closed.is_set()
    assert "not ended in time: stuck" in caplog.text
    assert supervisor.threads() == ["stuck"]
    go_on.set()
    supervisor.close()
    assert supervisor.threads() == []


def test_a_follower_that_does_not_end_is_not_waited_for_for_ever(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FOLLOWERS_WAIT_S", 0.05)
    go_on = threading.Event()
    follower = supervisor.follow("stuck", lambda: go_on.wait(LONG_S))
    supervisor.close()
    assert supervisor.threads() == ["stuck"]
    go_on.set()
    follower.join(LONG_S)


def test_a_second_close_closes_nothing_twice(supervisor: Supervisor) -> None:
    told: list[str] = []
    supervisor.own(lambda: told.append("closed"))
    supervisor.close()
    supervisor.close()
    assert told == ["closed"]


def test_a_machine_without_more_threads_leaves_nothing(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError):
        supervisor.start("a", lambda: None, cancel=lambda: None)
    with pytest.raises(RuntimeError):
        supervisor.follow("b", lambda: None)
    assert supervisor.threads() == []


def test_starts_from_many_threads_end_all(supervisor: Supervisor) -> None:
    def start(number: int) -> str:
        try:
            waiting(supervisor, f"task {number}")
        except ApiError as error:
            return error.code
        return "started"

    with ThreadPoolExecutor(8) as pool:
        starts = [pool.submit(start, number) for number in range(200)]
        starts[20].result(LONG_S)
        supervisor.close()
        assert {each.result(LONG_S) for each in starts} <= {"started", "ServiceUnavailable"}
    assert supervisor.threads() == []


def test_what_is_owned_too_late_is_closed_at_once() -> None:
    supervisor, closed = Supervisor(), list[str]()
    supervisor.close()
    supervisor.own(lambda: closed.append("late"))
    assert closed == ["late"]
