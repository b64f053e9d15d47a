"""What the metrics of a job find in a line, and what slow matches cost."""

import pytest

from stagemaker.core.patterns import TooSlow
from stagemaker.training.metrics import SlowTime, measured, metric

LOSS = metric({"Name": "loss", "Regex": r"loss=(\S*)"})


@pytest.mark.parametrize(
    ("line", "value"),
    [("loss=0.5", 0.5), ("epoch 1 loss=1e-3 x", 0.001), ("loss=nan", None), ("loss=", None), ("accuracy=1", None)],
)
def test_the_first_group_is_the_value(line: str, value: float | None) -> None:
    assert measured(LOSS, line) == value


def test_a_regex_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(TooSlow):
        measured(metric({"Name": "evil", "Regex": r"loss=((\d+)+);"}), "loss=" + "1" * 4000)


def test_ordinary_matches_cost_nothing() -> None:
    slow = SlowTime()
    for _ in range(1_000_000):
        slow.add(0, 0.00005)
    assert not slow.is_spent(0)


def test_slow_matches_have_five_seconds_in_any_sixty() -> None:
    slow = SlowTime()
    for moment in range(49):
        slow.add(moment, 0.1)
    assert not slow.is_spent(48)
    slow.add(48.5, 0.11)
    assert slow.is_spent(49)
    assert slow.is_spent(59.9)
    assert not slow.is_spent(60)  # the first one has left the window
