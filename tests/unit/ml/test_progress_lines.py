"""A long epoch says how far it is; a short one says nothing."""

import re

import torch

from ml.progress_lines import with_rate

BATCH = (torch.zeros(1), torch.zeros(1), 20)
LINE = re.compile(r"epoch=(\d+) train_loss")  # a metric definition must not read a line of progress


def lines(times_s: list[float]) -> list[str]:
    said: list[str] = []
    clock = iter(times_s)
    assert len(list(with_rate(iter([BATCH] * 4), 3, 80, said.append, lambda: next(clock)))) == 4
    return said


def test_a_long_epoch_says_rate_and_time_left_at_most_every_ten_seconds() -> None:
    said = lines([0.0, 10.0, 19.9, 40.0, 80.0])
    assert said == [
        "training epoch=3 images=20/80 images_per_s=2.0 eta_s=30",
        "training epoch=3 images=60/80 images_per_s=1.5 eta_s=13",
    ]
    assert not any(LINE.search(line) for line in said)


def test_a_short_epoch_says_nothing() -> None:
    assert lines([0.0, 1.0, 2.0, 3.0, 4.0]) == []
