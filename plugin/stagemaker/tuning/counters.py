"""What a tuning job says of its training jobs: summaries, counters and the best. Pure: all from their records."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.store import Record
from stagemaker.jobs.statuses import COMPLETED, FAILED, STOPPED
from stagemaker.tuning.objective import Objective

SUCCEEDED, PENDING = "Succeeded", "Pending"
_RETRYABLE = ("InternalServerError", "CapacityError")  # how the FailureReason of a fault of the service begins


def objective_value(child: Record) -> float | None:
    """The last value of the objective metric that the training job measured."""
    metric = child[OWN]["Tuning"]["Metric"]
    found = (datum["Value"] for datum in child.get("FinalMetricDataList", []) if datum["MetricName"] == metric)
    return next(found, None)


def objective_status(child: Record) -> str:
    """AWS: a job that failed, or has no value, is not evaluated."""
    if child["TrainingJobStatus"] not in (COMPLETED, FAILED, STOPPED):
        return PENDING
    failed = child["TrainingJobStatus"] == FAILED or objective_value(child) is None
    return "Failed" if failed else SUCCEEDED


def evaluated_value(child: Record) -> float | None:
    """The objective value of a training job that has ended and counts; else None."""
    return objective_value(child) if objective_status(child) == SUCCEEDED else None


def summary(child: Record) -> dict[str, Any]:
    """HyperParameterTrainingJobSummary."""
    tuning, value = child[OWN]["Tuning"], objective_value(child)
    members = (
        "TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingStartTime", "TrainingEndTime",
        "TrainingJobStatus", "FailureReason",
    )  # fmt: skip
    return {
        **({"TrainingJobDefinitionName": tuning["Definition"]} if tuning["Definition"] else {}),
        **{member: child[member] for member in members if member in child},
        "TunedHyperParameters": tuning["Tuned"],
        **(
            {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": tuning["Metric"], "Value": value}}
            if value is not None
            else {}
        ),
        "ObjectiveStatus": objective_status(child),
    }


def counters(children: Iterable[Record]) -> dict[str, dict[str, int]]:
    """TrainingJobStatusCounters and ObjectiveStatusCounters, complete."""
    records = list(children)
    jobs = Counter(_counted_as(record) for record in records)
    objectives = Counter(objective_status(record) for record in records)
    names = ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped")
    return {
        "TrainingJobStatusCounters": {name: jobs[name] for name in names},
        "ObjectiveStatusCounters": {name: objectives[name] for name in (SUCCEEDED, PENDING, "Failed")},
    }


def best(children: Iterable[Record], goal: Objective) -> Record | None:
    """The training job with the best value of those that were evaluated, the first of equals; None without one."""
    found: Record | None = None
    best_value: float | None = None
    for child in children:
        value = evaluated_value(child)
        if value is not None and (best_value is None or goal.is_better(value, best_value)):
            found, best_value = child, value
    return found


def is_child(record: Record, parent: Mapping[str, Any]) -> bool:
    """Whether a training job is of the tuning job with the record `parent`: of that one, not of an earlier one of the
    same name."""
    arn = parent["HyperParameterTuningJobArn"]
    return bool(record.get("TuningJobArn") == arn and record["CreationTime"] >= parent["CreationTime"])


def _counted_as(child: Record) -> str:
    status = child["TrainingJobStatus"]
    if status == FAILED:
        retryable = child.get("FailureReason", "").startswith(_RETRYABLE)
        return "RetryableError" if retryable else "NonRetryableError"
    return str(status) if status in (COMPLETED, STOPPED) else "InProgress"
