"""Curves from their texts, and the moments at which their requests are due."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from infra.load.curve import MAX_REQUESTS, Curve, constant, due_times, parse


def per_second(curve: Curve, seed: int | None = None) -> list[int]:
    """How many requests are due in each second."""
    counts = [0] * math.ceil(curve.seconds)
    for due_s in due_times(curve, seed):
        counts[int(due_s)] += 1
    return counts


def test_a_constant_rate_is_even() -> None:
    curve = constant(4).lasting(2)
    assert due_times(curve) == pytest.approx([0.125, 0.375, 0.625, 0.875, 1.125, 1.375, 1.625, 1.875])
    assert parse("constant:4").seconds == 60


def test_a_step_holds_each_rate_until_the_next() -> None:
    curve = parse("step:2,10@3,0@5")
    assert curve.seconds == 65
    assert per_second(curve)[:7] == [2, 2, 2, 10, 10, 0, 0]
    assert curve.requests == 26


def test_a_ramp_is_a_straight_line_and_stays_at_its_end() -> None:
    curve = parse("ramp:0,10@10").lasting(12)
    assert curve.requests == pytest.approx(50 + 20)
    times = due_times(curve)
    assert len(times) == 70
    # After t seconds t * t / 2 requests were due, so half a request at second 1 and 4.5 at second 3.
    assert times[0] == pytest.approx(1)
    assert times[4] == pytest.approx(3)
    assert per_second(curve)[10:] == [10, 10]


def test_a_ramp_may_fall() -> None:
    assert per_second(parse("ramp:10,0@5").lasting(7)) == [9, 7, 5, 3, 1, 0, 0]


def test_a_sine_repeats_its_period() -> None:
    curve = parse("sine:2,10@8")
    assert curve.seconds == 16
    assert curve.requests == pytest.approx(6 * 16)
    counts = per_second(curve)
    assert counts[:8] == counts[8:]
    assert min(counts) == counts[0]
    assert max(counts) == counts[4]


def test_a_curve_that_ends_within_a_line_is_cut_there() -> None:
    assert parse("ramp:0,10@10").lasting(4).requests == pytest.approx(8)


def test_a_file_gives_a_rate_for_each_second(tmp_path: Path) -> None:
    path = tmp_path / "rates.csv"
    path.write_text("second,rate\n0,1\n1,5\n\n2,0\n3,2.5\n")
    curve = parse(f"file:{path}")
    assert curve.seconds == 4
    assert curve.requests == 8.5
    assert per_second(curve)[:3] == [1, 5, 0]


def test_random_times_are_those_of_the_seed_and_of_the_rate() -> None:
    curve = constant(50).lasting(100)
    assert due_times(curve, seed=1) == due_times(curve, seed=1)
    assert due_times(curve, seed=1) != due_times(curve, seed=2)
    times = due_times(curve, seed=1)
    assert times == sorted(times)
    # Of a Poisson process: 5000 requests with a deviation of 71; gaps whose deviation is their mean.
    assert abs(len(times) - 5000) < 4 * 71
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    assert math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) == pytest.approx(mean, rel=0.1)


def test_random_times_follow_the_curve() -> None:
    counts = per_second(parse("step:0,100@5").lasting(10), seed=3)
    assert counts[:5] == [0] * 5
    assert sum(counts[5:]) > 400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is none"),
        ("10", "is none"),
        ("square:1", "is none"),
        ("constant:", "'' is no number"),
        ("constant:nan", "'nan' is no number"),
        ("constant:inf", "'inf' is no number"),
        ("constant:-1", "not below 0"),
        ("constant:1,2@3", "too many rates"),
        ("sine:1", "too few"),
        ("sine:1,2@0.5", "at least 1 s"),
        ("step:1,2", "'2' has no time, such as 2@60"),
        ("step:1,2@60,3@60", "Second 60 must be after second 60"),
        ("step:1,2@0", "Second 0 must be after second 0"),
        ("file:/nowhere/rates.csv", "There is no file"),
    ],
)
def test_what_is_no_curve_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must begin at second 0"),
        ("1,5\n", "must begin at second 0"),
        ("0,5\n0,6\n", "must be after second 0"),
        ("0,5,6\n", "line 1 of"),
        ("0,5\nx,6\n", "line 2 of"),
        ("0,5\n" + "#" * (1 << 20), "more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_is_no_curve_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "rates.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=said):
        parse(f"file:{path}")


def test_too_many_requests_are_refused_before_they_are_made() -> None:
    with pytest.raises(ValueError, match="too many for one load"):
        due_times(constant(MAX_REQUESTS))


@pytest.mark.parametrize("seconds", [0, -1, 604_801, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0 s"):
        constant(1).lasting(seconds)
