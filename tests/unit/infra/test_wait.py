"""Waits of a step: cancelled, and told when they are long."""

from collections.abc import Iterator
from threading import Event

import pytest

from infra import wait
from infra.wait import Cancelled, Waiting, in_words


def clock(*times_s: float) -> Iterator[float]:
    return iter(times_s)


def told(*times_s: float) -> list[str]:
    """What is said in pauses that begin at these times."""
    said: list[str] = []
    times = clock(*times_s)
    waiting = Waiting(Event(), said.append, lambda: next(times))
    for _ in times_s:
        waiting.pause(0, "InService")
    return said


def test_a_short_wait_is_not_told() -> None:
    assert told(100, 105, 109.9) == []


def test_a_long_wait_is_told_each_time_it_has_doubled_and_every_five_minutes() -> None:
    assert told(0, 10, 19, 20, 39, 40, 80, 160, 320, 620, 900, 920) == [
        f"waits for InService ({text})"
        for text in ("10 s", "20 s", "40 s", "1 min", "3 min", "5 min", "10 min", "15 min")
    ]


def test_another_reason_begins_anew() -> None:
    said: list[str] = []
    times = clock(0, 5, 11, 15)
    waiting = Waiting(Event(), said.append, lambda: next(times))
    for reason in ("one", "two", "two", "two"):
        waiting.pause(0, reason)
    assert said == ["waits for two (10 s)"]


def test_the_longer_a_wait_lasts_the_more_seldom_it_looks() -> None:
    slept: list[float] = []

    class Sleeper(Event):
        def wait(self, timeout: float | None = None) -> bool:
            slept.append(timeout or 0.0)
            return False

    times = clock(100, 101, 104, 200, 300)
    waiting = Waiting(Sleeper(), lambda _: None, lambda: next(times))
    for reason in ("one", "one", "one", "one", "two"):
        waiting.poll(5.0, reason)
    assert slept == [0.25, 0.75, 2.25, 5.0, 0.25]


def test_a_cancelled_step_does_not_wait() -> None:
    cancelled = Event()
    cancelled.set()
    with wait.within(Waiting(cancelled, lambda _: None)):
        with pytest.raises(Cancelled):
            wait.pause(3600, "what never comes")
        with pytest.raises(Cancelled):
            wait.poll(3600, "what never comes")
        with pytest.raises(Cancelled):
            wait.check()
    wait.check()
    wait.pause(0, "nothing")


def test_no_handler_of_failures_catches_the_end_of_a_step() -> None:
    assert not issubclass(Cancelled, Exception)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (150, "2 min"), (3599, "1 h 0 min"), (3900, "1 h 5 min")],
)
def test_a_time_in_words(seconds: float, text: str) -> None:
    assert in_words(seconds) == text


def test_a_command_without_steps_waits_as_a_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without growing steps each look would be 60 s after the one before."""
    monkeypatch.setattr(wait, "FIRST_POLL_S", 0.0)
    monkeypatch.setattr(wait, "FIRST_TOLD_S", 0.0)
    said: list[str] = []
    with wait.alone(said.append):
        wait.poll(60.0, "InService")
        wait.poll(0.0, "InService")
    assert said == ["waits for InService (0 s)"]
