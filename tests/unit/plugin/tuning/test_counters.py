"""What a tuning job says of its training jobs."""

from typing import Any

import pytest

from stagemaker.tuning.counters import best, counters, evaluated_value, is_child, objective_status, summary
from stagemaker.tuning.objective import Objective

LESS, MORE = Objective("loss", maximize=False), Objective("loss", maximize=True)


def job(status: str = "Completed", value: float | None = None, name: str = "a", **more: Any) -> dict[str, Any]:
    metrics = [{"MetricName": "other", "Value": 9.0}, {"MetricName": "loss", "Value": value}]
    return {
        "TrainingJobName": name,
        "TrainingJobArn": f"arn:{name}",
        "TrainingJobStatus": status,
        "CreationTime": 5.0,
        "FinalMetricDataList": metrics if value is not None else metrics[:1],
        "Stagemaker": {"Tuning": {"Definition": "", "Metric": "loss", "Tuned": {"rate": "0.5"}}},
        **more,
    }


@pytest.mark.parametrize(
    ("status", "value", "expected"),
    [
        ("InProgress", 1.0, "Pending"),
        ("Stopping", 1.0, "Pending"),
        ("Completed", 1.0, "Succeeded"),
        ("Completed", None, "Failed"),
        ("Stopped", 1.0, "Succeeded"),
        ("Stopped", None, "Failed"),
        ("Failed", 1.0, "Failed"),
    ],
)
def test_the_status_of_the_objective_follows_from_the_job(status: str, value: float | None, expected: str) -> None:
    assert objective_status(job(status, value)) == expected
    assert evaluated_value(job(status, value)) == (value if expected == "Succeeded" else None)


def test_the_counters_are_complete_and_tell_the_faults_of_the_service_from_the_others() -> None:
    jobs = [
        job("Completed", 1.0),
        job("Completed"),
        job("InProgress"),
        job("Stopping"),
        job("Stopped", 1.0),
        job("Failed", FailureReason="AlgorithmError: exit code: 1"),
        job("Failed", FailureReason="InternalServerError: We encountered an internal error."),
        job("Failed", FailureReason="CapacityError: Unable to provision requested ML compute capacity."),
    ]
    assert counters(jobs) == {
        "TrainingJobStatusCounters": {
            "Completed": 2, "InProgress": 2, "RetryableError": 2, "NonRetryableError": 1, "Stopped": 1,
        },
        "ObjectiveStatusCounters": {"Succeeded": 2, "Pending": 2, "Failed": 4},
    }  # fmt: skip
    assert counters([])["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 0}


def test_the_best_was_evaluated_and_the_first_of_equals_counts() -> None:
    jobs = [
        job("InProgress", 0.0, "running"),
        job("Failed", 0.0, "failed"),
        job("Completed", None, "silent"),
        job("Completed", 2.0, "b"),
        job("Stopped", 1.0, "c"),
        job("Completed", 1.0, "d"),
    ]
    assert [(best(jobs, goal) or {})["TrainingJobName"] for goal in (LESS, MORE)] == ["c", "b"]
    assert best(jobs[:3], LESS) is None


def test_a_summary_shows_what_there_is() -> None:
    assert summary(job("InProgress")) == {
        "TrainingJobName": "a",
        "TrainingJobArn": "arn:a",
        "CreationTime": 5.0,
        "TrainingJobStatus": "InProgress",
        "TunedHyperParameters": {"rate": "0.5"},
        "ObjectiveStatus": "Pending",
    }
    found = summary(
        job("Failed", 1.0, FailureReason="AlgorithmError", TrainingStartTime=6.0, TrainingEndTime=7.0)
        | {"Stagemaker": {"Tuning": {"Definition": "small", "Metric": "loss", "Tuned": {}}}}
    )
    assert found["TrainingJobDefinitionName"] == "small"
    assert found["FinalHyperParameterTuningJobObjectiveMetric"] == {"MetricName": "loss", "Value": 1.0}
    assert (found["FailureReason"], found["TrainingStartTime"], found["TrainingEndTime"]) == (
        "AlgorithmError",
        6.0,
        7.0,
    )


def test_a_job_is_a_child_of_one_tuning_job_and_not_of_an_earlier_one_of_its_name() -> None:
    parent = {"HyperParameterTuningJobArn": "arn:p", "CreationTime": 5.0}
    assert is_child(job(TuningJobArn="arn:p"), parent)
    assert not is_child(job(TuningJobArn="arn:q"), parent)
    assert not is_child(job(), parent)
    assert not is_child(job(TuningJobArn="arn:p", CreationTime=4.0), parent)
