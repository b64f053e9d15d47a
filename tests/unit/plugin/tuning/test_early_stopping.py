"""AWS's rule of early stopping, to the letter."""

from statistics import fmean, median

import pytest

from stagemaker.tuning.early_stopping import LEAST_JOBS, median_of_averages, stops
from stagemaker.tuning.objective import Objective

LESS, MORE = Objective("loss", maximize=False), Objective("accuracy", maximize=True)
EARLIER = [[9.0, 7.0, 5.0], [8.0, 4.0, 3.0], [6.0, 2.0, 1.0]]  # averages up to epoch 2: 8, 6, 4


def test_the_median_is_that_of_the_running_averages_up_to_the_same_epoch() -> None:
    assert [median_of_averages(EARLIER, epoch) for epoch in (1, 2, 3)] == [8.0, 6.0, 5.0]


def test_the_current_value_counts_and_neither_the_best_nor_the_average_of_the_job() -> None:
    """Other tools compare the best value of the job, or its running average."""
    values = [1.0, 6.5]
    assert max(min(values), fmean(values)) < 6.0
    assert stops(values, EARLIER, LESS)
    assert not stops([99.0, 5.5], EARLIER, LESS)


def test_a_job_that_is_as_good_as_the_median_goes_on() -> None:
    assert not stops([9.0, 6.0], EARLIER, LESS)
    assert stops([9.0, 6.01], EARLIER, LESS)


def test_worse_is_lower_when_maximizing() -> None:
    assert stops([9.0, 5.99], EARLIER, MORE)
    assert not stops([9.0, 6.0], EARLIER, MORE)


def test_every_earlier_job_counts_also_one_that_ended_before_the_epoch() -> None:
    earlier = [*EARLIER, [100.0], [100.0]]
    assert median_of_averages(earlier, 3) == median([7.0, 5.0, 3.0, 100.0, 100.0])


def test_a_job_without_any_value_is_none() -> None:
    assert median_of_averages([*EARLIER, []], 1) == 8.0


@pytest.mark.parametrize("jobs", range(LEAST_JOBS))
def test_too_few_earlier_jobs_stop_nobody(jobs: int) -> None:
    assert not stops([1e9], EARLIER[:jobs], LESS)
