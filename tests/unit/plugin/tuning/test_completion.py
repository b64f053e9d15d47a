"""The criteria that complete a tuning job, and the reasons of a failure."""

from typing import Any

import pytest

from stagemaker.tuning.completion import CONVERGED_JOBS, Criteria, criteria_of, failure, is_complete, progress
from stagemaker.tuning.objective import Objective

LESS, MORE = Objective("loss", maximize=False), Objective("accuracy", maximize=True)


@pytest.mark.parametrize(
    ("values", "goal", "best", "not_improving"),
    [
        ([], MORE, None, 0),
        ([0.5], MORE, 0.5, 0),
        ([0.5, 0.504], MORE, 0.504, 1),  # by less than 1 %
        ([0.5, 0.505], MORE, 0.505, 0),  # by 1 %
        ([0.5, 0.504, 0.51], MORE, 0.51, 0),
        ([0.5, 0.4, 0.3], MORE, 0.5, 2),
        ([0.5, 0.4, 0.6, 0.1], MORE, 0.6, 1),
        ([-2.0, -2.1, -2.2], LESS, -2.2, 0),
        ([100.0, 99.5], LESS, 99.5, 1),
        ([100.0, 99.0], LESS, 99.0, 0),
        ([0.0, 0.0], LESS, 0.0, 1),
        ([0.0, -1e-9], LESS, -1e-9, 0),
    ],
)
def test_an_improvement_is_one_percent_or_more(
    values: list[float], goal: Objective, best: float | None, not_improving: int
) -> None:
    found = progress(values, goal)
    assert (found.best, found.not_improving) == (best, not_improving)


@pytest.mark.parametrize(
    ("values", "goal", "target", "expected"),
    [
        ([0.89], MORE, 0.9, False),
        ([0.9], MORE, 0.9, True),
        ([0.95, 0.1], MORE, 0.9, True),
        ([0.11], LESS, 0.1, False),
        ([0.1], LESS, 0.1, True),
        ([], LESS, 0.1, False),
    ],
)
def test_any_job_that_reaches_the_target_is_enough(
    values: list[float], goal: Objective, target: float, expected: bool
) -> None:
    assert is_complete(Criteria(target=target), progress(values, goal), goal) is expected


def test_jobs_that_do_not_improve_are_enough_at_their_number() -> None:
    criteria = Criteria(jobs_not_improving=3)
    assert not is_complete(criteria, progress([1.0, 2.0, 2.0], LESS), LESS)
    assert is_complete(criteria, progress([1.0, 2.0, 2.0, 2.0], LESS), LESS)


def test_convergence_is_seen_always_and_completes_only_when_asked_for() -> None:
    found = progress([1.0] * (CONVERGED_JOBS + 1), LESS)
    assert found.is_converged
    assert not progress([1.0] * CONVERGED_JOBS, LESS).is_converged
    assert is_complete(Criteria(on_convergence=True), found, LESS)
    assert not is_complete(Criteria(), found, LESS)


def test_the_criteria_are_read_from_the_request() -> None:
    given: dict[str, Any] = {
        "TargetObjectiveMetricValue": 0.5,
        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3},
        "ConvergenceDetected": {"CompleteOnConvergence": "Enabled"},
    }
    assert criteria_of({"TuningJobCompletionCriteria": given}, autotuned=False) == Criteria(0.5, 3, True)
    assert criteria_of({}, autotuned=False) == Criteria(None, None, False)
    assert criteria_of({}, autotuned=True) == Criteria(None, None, True)
    refused = {"TuningJobCompletionCriteria": {"ConvergenceDetected": {"CompleteOnConvergence": "Disabled"}}}
    assert criteria_of(refused, autotuned=True) == Criteria(None, None, False)


NONE_SUCCEEDED = (
    "No training job succeeded after 5 attempts. Please take a look at the training job failures to get more details."
)
NO_METRIC = (
    "No objective metrics found after running 5 training jobs. Please ensure that the custom algorithm is emitting the "
    "objective metric as defined by the regular expression provided."
)


@pytest.mark.parametrize(
    ("statuses", "evaluated", "is_over", "expected"),
    [
        (["Failed"] * 4, 0, False, ""),
        (["Failed"] * 5, 0, False, NONE_SUCCEEDED),
        (["Failed"] * 7, 0, False, NONE_SUCCEEDED),
        (["Failed"] * 2, 0, True, NONE_SUCCEEDED.replace("5", "2")),
        (["Failed"] * 9, 1, True, ""),
        (["Completed"] * 5, 0, False, NO_METRIC),
        (["Failed", "Completed", "Failed", "Failed", "Failed"], 0, False, NO_METRIC),
        (["Completed"], 0, True, NO_METRIC.replace("5", "1")),
        (["Stopped"] * 5, 0, True, ""),
        ([], 0, True, ""),
    ],
)
def test_a_tuning_job_fails_when_its_first_training_jobs_say_nothing(
    statuses: list[str], evaluated: int, is_over: bool, expected: str
) -> None:
    assert failure(statuses, evaluated, is_over=is_over) == expected
