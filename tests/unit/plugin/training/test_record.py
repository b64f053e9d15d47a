"""How the record of a training job moves."""

from stagemaker.training.record import first_status, moment, next_status


def test_each_status_ends_the_one_before() -> None:
    record = first_status(100.0)
    record |= next_status(record, "InProgress", "Downloading", None, 110.0)
    record |= next_status(record, "InProgress", "Training", None, 130.0)
    record |= next_status(record, "Completed", "Completed", None, 171.6)
    steps = [(s["Status"], s["StartTime"], s["EndTime"]) for s in record["SecondaryStatusTransitions"]]
    assert steps == [
        ("Starting", moment(100.0), moment(110.0)),
        ("Downloading", moment(110.0), moment(130.0)),
        ("Training", moment(130.0), moment(171.6)),
        ("Completed", moment(171.6), moment(171.6)),
    ]
    assert record["TrainingJobStatus"] == record["SecondaryStatus"] == "Completed"
    assert record["SecondaryStatusTransitions"][-1]["StatusMessage"] == "Training job completed"
    assert (record["TrainingStartTime"], record["TrainingEndTime"]) == (moment(110.0), moment(171.6))
    assert record["TrainingTimeInSeconds"] == record["BillableTimeInSeconds"] == 62
    assert "FailureReason" not in record


def test_a_job_that_is_stopping_stays_so_until_its_end() -> None:
    record = first_status(100.0)
    record |= next_status(record, "Stopping", "Stopping", None, 101.0)
    record |= next_status(record, "InProgress", "Uploading", None, 102.0)
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopping", "Uploading")


def test_a_failure_has_its_reason_and_a_second_at_least() -> None:
    record = first_status(100.0)
    record |= next_status(record, "Failed", "Failed", "ClientError: no data", 100.1)
    assert record["FailureReason"] == "ClientError: no data"
    assert record["TrainingTimeInSeconds"] == 1
