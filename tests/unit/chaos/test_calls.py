"""What became of the calls of a load, and which failures are excused."""

import pytest

from tests.chaos.calls import (
    Allowed,
    Call,
    executed_without_answer,
    outage_s,
    percentile,
    summarize,
    told_of,
    unexcused,
)  # fmt: skip


def answered(due_s: float, ended_s: float, worker: str = "a", position: int = 1) -> Call:
    return Call("endpoint", due_s, ended_s, worker=worker, position=position)


def failed(due_s: float, ended_s: float, failure: str = "broken", stream: str = "endpoint") -> Call:
    return Call(stream, due_s, ended_s, failure)


def test_a_summary_counts_each_kind_of_failure() -> None:
    calls = [answered(0, 0.1), answered(1, 1.3), failed(2, 3), failed(3, 4), failed(4, 5, "late")]
    summary = summarize(calls, sent=5)
    assert (summary.answered, summary.failures, summary.open) == (2, {"broken": 2, "late": 1}, 0)
    assert summary.p50_ms == pytest.approx(100)
    assert summary.max_ms == pytest.approx(300)
    assert summary.adds_up


def test_a_call_that_never_ends_does_not_add_up() -> None:
    summary = summarize([answered(0, 1)], sent=2)
    assert summary.open == 1
    assert not summary.adds_up


def test_a_percentile_of_nothing_is_none() -> None:
    assert percentile([], 50) is None
    assert [percentile([1, 2, 3, 4], percent) for percent in (50, 75, 99, 100)] == [2, 3, 4, 4]


def test_only_a_call_that_was_under_way_between_the_moments_is_excused() -> None:
    allowed = [Allowed("held", frozenset({"broken"}), since_s=10, until_s=11)]
    held = [failed(9, 10.5), failed(10.9, 15)]
    before, after = failed(8, 9.9), failed(11.1, 12)
    assert unexcused([*held, before, after], allowed) == [before, after]


def test_another_kind_or_another_stream_is_not_excused() -> None:
    allowed = [Allowed("held", frozenset({"broken"}), since_s=0, until_s=9)]
    late, function = failed(1, 2, "late"), failed(1, 2, stream="function")
    assert unexcused([late, function, failed(1, 2), answered(1, 2)], allowed) == [late, function]


def test_failed_calls_are_told_by_kind_and_with_the_seconds_when_they_ended() -> None:
    calls = [failed(101, 102.5), failed(103, 110), failed(103, 104, "late", stream="function")]
    assert told_of(calls, 100) == "2 endpoint: broken (2.5 to 10.0 s); 1 function: late (4.0 to 4.0 s)"
    assert told_of([], 100) == ""


def test_gaps_in_the_positions_are_calls_without_an_answer() -> None:
    calls = [answered(0, 1, "a", 1), answered(1, 2, "a", 4), answered(1, 2, "b", 2), failed(2, 3)]
    assert executed_without_answer(calls) == 3
    assert executed_without_answer([]) == 0


def test_an_outage_is_the_time_between_the_first_and_the_last_failed_call() -> None:
    assert outage_s([answered(0, 1), failed(2, 9), failed(5, 6), answered(7, 8)]) == 3
    assert outage_s([answered(0, 1)]) == 0
