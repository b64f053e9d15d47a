"""A long epoch says how far it is, and how long the others take; a short one says nothing."""

import re

import pytest

from infra.settings import METRICS
from ml.progress_lines import EpochProgress, rest_line


def lines(times_s: list[float]) -> list[str]:
    said: list[str] = []
    clock = iter(times_s)
    progress = EpochProgress(3, 80, said.append, lambda: next(clock))
    for number in range(4):
        progress.add(20, lambda: 2.0 - number / 2)  # noqa: B023 - called at once
    return said


def test_a_long_epoch_says_rate_time_left_and_loss_at_most_every_ten_seconds() -> None:
    said = lines([0.0, 10.0, 19.9, 40.0, 80.0])
    assert said == [
        "training epoch=3 images=20/80 images_per_s=2.0 eta_s=30 loss_so_far=2.0000",
        "training epoch=3 images=60/80 images_per_s=1.5 eta_s=13 loss_so_far=1.0000",
    ]
    # A metric definition must not read it.
    assert not any(re.search(regex, line) for line in said for regex in METRICS.values())


def test_a_short_epoch_says_nothing() -> None:
    assert lines([0.0, 1.0, 2.0, 3.0, 4.0]) == []


@pytest.mark.parametrize(
    ("epoch", "took_s", "line"),
    [(3, 20.0, "training after_epoch=3 epochs_left=9 eta_s=180"), (3, 9.0, ""), (12, 20.0, "")],
)
def test_after_a_long_epoch_it_says_how_long_the_others_take(epoch: int, took_s: float, line: str) -> None:
    assert rest_line(epoch, 12, took_s) == line
