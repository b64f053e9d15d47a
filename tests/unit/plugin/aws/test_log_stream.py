"""Which lines of a log stream are sent, and which are left out."""

import pytest

from stagemaker.aws import log_stream as module
from stagemaker.aws.log_stream import Amount, StreamLines

STREAM_LIMIT = module.STREAM_LIMIT


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_LIMIT", Amount(10, 1000))
    monkeypatch.setattr(module, "TOTAL_LIMIT", Amount(15, 1500))
    monkeypatch.setattr(module, "LEAST", Amount(2, 200))
    monkeypatch.setattr(module, "LAST", Amount(3, 300))


def filled(count: int, total: Amount | None = None) -> StreamLines:
    """A stream that got the lines 1 to `count`, at the milliseconds 1 to `count`."""
    lines = StreamLines(total or Amount())
    for number in range(1, count + 1):
        lines.add(str(number), number)
    return lines


def messages(lines: StreamLines) -> list[str]:
    return [message for _, message in lines.take()]


def test_every_line_is_taken_up_to_the_limit() -> None:
    lines = filled(10)
    lines.tell()
    assert lines.take() == [(number, str(number)) for number in range(1, 11)]
    assert lines.is_empty
    assert (lines.queued, lines.taken) == (10, 10)


def test_after_the_limit_the_last_lines_are_kept_and_the_others_counted() -> None:
    lines = filled(20)
    assert len(messages(lines)) == 10
    assert not lines.is_empty
    lines.tell()
    (told_ms, told), *last = lines.take()
    assert told.startswith("Stagemaker: 7 lines were left out here")
    assert last == [(18, "18"), (19, "19"), (20, "20")]
    assert told_ms == 18
    assert lines.is_empty


def test_a_count_begins_anew_when_it_was_told() -> None:
    lines = filled(20)
    lines.tell()
    lines.take()
    lines.add("21", 21)
    lines.tell()
    assert messages(lines) == ["21"]


def test_the_last_lines_wait_for_a_minute() -> None:
    lines = filled(20)
    lines.take()
    lines.tell_when_due(11 + 59_999)
    assert messages(lines) == []
    lines.tell_when_due(11 + 60_000)
    assert messages(lines)[1:] == ["18", "19", "20"]


def test_long_lines_reach_the_limit_too() -> None:
    lines = StreamLines(Amount())
    for _ in range(4):
        lines.add("x" * 400, 0)
    assert len(messages(lines)) == 3
    for _ in range(4):
        lines.add("x" * 400, 0)
    lines.tell()
    assert len(messages(lines)) == 2  # the count and one line: a line that is too long alone is kept


def test_when_all_streams_have_too_much_each_still_takes_its_first_lines() -> None:
    total = Amount()
    for _ in range(2):
        filled(10, total)
    assert total.lines == 15
    assert messages(filled(10, total)) == ["1", "2"]


def test_time_that_goes_back_makes_no_earlier_moment() -> None:
    lines = StreamLines(Amount())
    lines.add("a", 5)
    lines.add("b", 3)
    assert lines.take() == [(5, "a"), (5, "b")]


def test_half_a_million_ordinary_lines_are_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAM_LIMIT", STREAM_LIMIT)
    monkeypatch.setattr(module, "TOTAL_LIMIT", STREAM_LIMIT)
    lines = StreamLines(Amount())
    for number in range(500_000):
        lines.add("step 123456/999999 loss=0.123456 accuracy=0.987654", number)
    assert lines.queued == 500_000
    lines.add("one more", 0)
    assert lines.queued == 500_000
