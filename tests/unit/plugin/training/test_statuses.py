"""How the record of a training job moves."""

from typing import Any

import pytest

from stagemaker.training.statuses import STATUSES
from stagemaker.training.training import Training


def moved(*steps: tuple[str, float]) -> dict[str, Any]:
    """The record of a job that began at 100 and entered these steps."""
    record = STATUSES.begin(100.0)
    for step, now_s in steps:
        record |= STATUSES.move(record, step, now_s) or {}
    return record


def test_each_status_ends_the_one_before() -> None:
    record = moved(("Downloading", 110.0), ("Training", 130.0), ("Uploading", 160.0), ("Completed", 171.6))
    record |= Training().ending(record)
    steps = [(s["Status"], s["StartTime"], s["EndTime"]) for s in record["SecondaryStatusTransitions"]]
    assert steps == [
        ("Starting", 100.0, 110.0),
        ("Downloading", 110.0, 130.0),
        ("Training", 130.0, 160.0),
        ("Uploading", 160.0, 171.6),
        ("Completed", 171.6, 171.6),
    ]
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Completed"
    assert record["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job completed"
    assert (record["TrainingStartTime"], record["TrainingEndTime"]) == (110.0, 171.6)
    assert record["TrainingTimeInSeconds"] == record["BillableTimeInSeconds"] == 62
    assert "FailureReason" not in record


def test_a_job_that_is_stopping_stays_so_until_its_end() -> None:
    record = moved(("Downloading", 100.5), ("Stopping", 101.0), ("Uploading", 102.0))
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopping", "Uploading")


def test_a_job_that_was_stopped_a_moment_before_does_not_begin_to_train() -> None:
    record = moved(("Downloading", 100.5), ("Stopping", 101.0))
    assert STATUSES.move(record, "Training", 102.0) is None


def test_a_failure_takes_a_second_at_least() -> None:
    record = moved(("Failed", 100.1))
    assert Training().ending(record)["TrainingTimeInSeconds"] == 1


def test_a_second_attempt_does_not_move_the_start() -> None:
    steps = ("Downloading", "Training", "Interrupted", "Starting", "Downloading", "Training")
    record = moved(*((step, 110.0 + number) for number, step in enumerate(steps)))
    assert (record["TrainingStartTime"], record["SecondaryStatus"]) == (110.0, "Training")


@pytest.mark.parametrize("step", ["Training", "Completed", "Interrupted", "Uploading"])
def test_a_step_that_does_not_follow_is_a_mistake(step: str) -> None:
    with pytest.raises(ValueError, match=f"cannot go from Starting to {step}"):
        STATUSES.move(STATUSES.begin(100.0), step, 101.0)


def test_every_step_leads_to_an_end() -> None:
    for name, step in STATUSES.steps.items():
        ended = step.status in ("Completed", "Failed", "Stopped")
        assert ended is (not step.then), name
        assert set(step.then) <= STATUSES.steps.keys()
        assert ended or "Failed" in step.then
