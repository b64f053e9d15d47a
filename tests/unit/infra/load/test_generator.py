"""The open loop, with real threads and senders that are held until the test lets them go."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from infra.load.generator import NOT_SENT, UNFINISHED, Generator
from infra.load.requests import ANSWERED

LIMIT_S = 60.0


class Senders:
    """Senders that share a gate: while it is closed, what they send has no end."""

    def __init__(self, outcome: str = ANSWERED, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        if is_open:
            self.gate.set()
        self.outcome = outcome
        self.closed = 0

    def send(self) -> str:
        assert self.gate.wait(LIMIT_S)
        return self.outcome

    def close(self) -> None:
        self.closed += 1


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_every_request_is_sent_once_and_none_before_it_is_due() -> None:
    senders, due_s = Senders(), [number / 1000 for number in range(200)]
    generator = Generator(due_s, lambda: senders, connections=8, late_limit_s=LIMIT_S)
    generator.start()
    wait_for(lambda: not generator.is_running())
    results = generator.finish()
    assert sorted(result.due_s for result in results) == due_s
    assert {result.outcome for result in results} == {ANSWERED}
    assert all(result.due_s <= (result.sent_s or 0) <= result.done_s for result in results)
    assert senders.closed == 8


def test_a_request_that_waited_for_a_connection_counts_from_when_it_was_due() -> None:
    senders = Senders(is_open=False)
    generator = Generator([0.0, 0.001], lambda: senders, connections=1, late_limit_s=LIMIT_S)
    generator.start()
    wait_for(lambda: generator.now_s() > 0.2 and generator.progress().sent == 1)
    senders.gate.set()
    wait_for(lambda: not generator.is_running())
    second = generator.finish()[1]
    assert second.sent_s is not None
    assert second.sent_s > 0.2
    assert second.latency_s > 0.199


def test_what_is_too_late_is_counted_as_not_sent() -> None:
    senders = Senders(is_open=False)
    generator = Generator([0.0, 0.001, 0.002], lambda: senders, connections=1, late_limit_s=0.05)
    generator.start()
    wait_for(lambda: generator.now_s() > 0.1)
    senders.gate.set()
    wait_for(lambda: not generator.is_running())
    results = generator.finish()
    assert len(results) == 3
    # The first is sent unless its thread began late, and the others would be late at best.
    assert Counter(result.outcome for result in results[1:]) == {NOT_SENT: 2}
    assert results[1].sent_s is None


def test_after_a_stop_nothing_is_due_and_the_count_is_whole() -> None:
    senders = Senders()
    generator = Generator([0.0, 0.001, 3600.0], lambda: senders, connections=2, late_limit_s=LIMIT_S)
    generator.start()
    wait_for(lambda: generator.progress().answered == 2)
    generator.stop()
    wait_for(lambda: not generator.is_running())
    assert generator.progress().due == len(generator.finish()) == 2


def test_what_is_open_at_the_end_is_unfinished_and_its_answer_is_left_out() -> None:
    senders = Senders(is_open=False)
    generator = Generator([0.0, 0.001, 0.002], lambda: senders, connections=2, late_limit_s=LIMIT_S)
    generator.start()
    wait_for(lambda: generator.progress().sent == 2 and generator.progress().due == 3)
    results = generator.finish()
    assert Counter(result.outcome for result in results) == {UNFINISHED: 2, NOT_SENT: 1}
    senders.gate.set()
    wait_for(lambda: not generator.is_running())
    assert generator.finish() == results


@pytest.mark.parametrize("outcome", ["ModelError", "Timeout"])
def test_failures_are_counted_by_their_reason(outcome: str) -> None:
    senders = Senders(outcome)
    generator = Generator([0.0] * 5, lambda: senders, connections=2, late_limit_s=LIMIT_S)
    generator.start()
    wait_for(lambda: not generator.is_running())
    progress = generator.progress()
    assert progress.failed == {outcome: 5}
    assert (progress.due, progress.sent, progress.answered, progress.not_sent) == (5, 5, 0, 0)
    assert progress.latencies_s == []
