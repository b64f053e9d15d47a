"""When a tuning job has found enough, or cannot find anything. Pure.

AWS source: "Track and set completion criteria for your tuning job" in the developer guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.tuning.objective import Objective

CONVERGED_JOBS = 20  # (ours) training jobs in a row without an improvement; AWS's algorithm is not documented
ATTEMPTS = 5  # as AWS's message has it


@dataclass(frozen=True)
class Criteria:
    """TuningJobCompletionCriteria; None and False where one is not asked for."""

    target: float | None = None
    jobs_not_improving: int | None = None
    on_convergence: bool = False


@dataclass(frozen=True)
class Progress:
    """What the objective values so far say. `not_improving`: how many of the last ones did not improve on the best
    before them by 1 % or more."""

    best: float | None
    not_improving: int

    @property
    def is_converged(self) -> bool:
        """Whether no further improvement is to be expected."""
        return self.not_improving >= CONVERGED_JOBS


def criteria_of(config: Mapping[str, Any], *, autotuned: bool) -> Criteria:
    """Of HyperParameterTuningJobConfig. Autotune completes on convergence unless the request says something else."""
    given = config.get("TuningJobCompletionCriteria", {})
    flag = given.get("ConvergenceDetected", {}).get("CompleteOnConvergence", "Enabled" if autotuned else "Disabled")
    return Criteria(
        given.get("TargetObjectiveMetricValue"),
        given.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving"),
        flag == "Enabled",
    )


def progress(values: Sequence[float], goal: Objective) -> Progress:
    """Of the objective values of the training jobs that were evaluated, in the order of their ends."""
    best: float | None = None
    not_improving = 0
    for value in values:
        not_improving = 0 if best is None or goal.improves(value, best) else not_improving + 1
        best = value if best is None or goal.is_better(value, best) else best
    return Progress(best, not_improving)


def is_complete(criteria: Criteria, found: Progress, goal: Objective) -> bool:
    """Whether any criterion is met."""
    if found.best is None:
        return False
    return (
        (criteria.target is not None and goal.reaches(found.best, criteria.target))
        or (criteria.jobs_not_improving is not None and found.not_improving >= criteria.jobs_not_improving)
        or (criteria.on_convergence and found.is_converged)
    )


def failure(statuses: Sequence[str], evaluated: int, *, is_over: bool) -> str:
    """Why the tuning job fails, empty when it does not. `statuses` are those of the training jobs that have ended,
    `evaluated` the number of those with an objective value; `is_over`: no other training job comes."""
    ended = len(statuses)
    if evaluated or ended == 0 or not (is_over or ended >= ATTEMPTS):
        return ""
    attempts = min(ended, ATTEMPTS)
    if all(status == "Failed" for status in statuses):
        return (
            f"No training job succeeded after {attempts} attempts. Please take a look at the training job failures to "
            f"get more details."
        )
    if "Completed" in statuses:
        return (
            f"No objective metrics found after running {attempts} training jobs. Please ensure that the custom "
            f"algorithm is emitting the objective metric as defined by the regular expression provided."
        )
    return ""
