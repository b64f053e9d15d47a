"""The schedule of interruptions: repeated by its seed, and exponential."""

import statistics

import pytest

from stagemaker.training.spot import Schedule, read_schedule


def test_a_seed_repeats_it_and_nothing_else_does() -> None:
    schedule = Schedule(7, 300)
    assert schedule.interruption_s("dogs", 1) == Schedule(7, 300).interruption_s("dogs", 1)
    others = [Schedule(8, 300).interruption_s("dogs", 1), schedule.interruption_s("cats", 1)]
    assert len({schedule.interruption_s("dogs", 1), schedule.interruption_s("dogs", 2), *others}) == 4


def test_the_times_are_exponential() -> None:
    times = [Schedule(1, 300).interruption_s("dogs", attempt) for attempt in range(1, 4001)]
    assert min(times) > 0
    assert statistics.mean(times) == pytest.approx(300, rel=0.05)
    assert statistics.median(times) == pytest.approx(300 * 0.6931, rel=0.05)


def test_its_form() -> None:
    assert read_schedule("seed=7 mean=300") == Schedule(7, 300.0)
    assert read_schedule("seed=0 mean=0.5") == Schedule(0, 0.5)
    assert read_schedule("") is None


@pytest.mark.parametrize("text", ["7", "seed=7", "seed=-1 mean=3", "seed=7 mean=0", "seed=7 mean=.", "mean=3 seed=7"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="seed=7 mean=300"):
        read_schedule(text)
