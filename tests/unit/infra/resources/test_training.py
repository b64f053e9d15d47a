from typing import Any

import pytest

from infra import patience
from infra.errors import StepFailed
from infra.resources.training import TrainingJob
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

METRICS = [{"MetricName": "validation:accuracy", "Value": 0.9}]


def described(status: str, *transitions: str, **more: Any) -> dict[str, Any]:
    """DescribeTrainingJob's answer."""
    return {
        "TrainingJobStatus": status,
        "SecondaryStatus": status,
        "SecondaryStatusTransitions": [{"Status": one, "StatusMessage": f"{one} goes on"} for one in transitions],
        **more,
    }


REQUEST = {
    "TrainingJobName": "one",
    "RoleArn": "arn:aws:iam::123456789012:role/trainer",
    "ResourceConfig": {"InstanceType": "ml.g4dn.xlarge"},
}


def job(*answers: Any) -> tuple[FakeClient, TrainingJob, list[str]]:
    client, lines = FakeClient({"describe_training_job": list(answers)}), list[str]()
    logs = FakeClient(
        {
            "describe_log_streams": {"logStreams": [{"logStreamName": "one/algo-1"}]},
            "get_log_events": [
                {"events": [{"message": "epoch=1"}], "nextForwardToken": "a"},
                {"events": [], "nextForwardToken": "a"},
            ],
        }
    )
    return (
        client,
        TrainingJob(fake_clients(sagemaker=client, logs=logs), REQUEST, lines.append),
        lines,
    )


def test_none() -> None:
    assert job(missing())[1].read() is None


def test_a_completed_job_is_as_wanted() -> None:
    _, one, _ = job()
    done = described("Completed", FinalMetricDataList=METRICS)
    assert one.diff(done) == []
    assert one.remark(done) == "validation:accuracy 0.900"


def test_the_place_of_tensorboard_files_is_the_last_line() -> None:
    config = {"TensorBoardOutputConfig": {"S3OutputPath": "s3://bucket/models"}}
    _, one, lines = job(described("Completed", FinalMetricDataList=METRICS, **config))
    assert one.create() == "validation:accuracy 0.900"
    assert lines[-1] == "TensorBoard files: s3://bucket/models/one/tensorboard-output"


def test_a_new_job_is_followed_to_its_end() -> None:
    running = described("InProgress", "Starting")
    client, one, lines = job(running, described("Completed", "Starting", "Training", FinalMetricDataList=METRICS))
    assert one.create() == "validation:accuracy 0.900"
    assert client.names() == ["create_training_job", "describe_training_job", "describe_training_job"]
    assert lines == ["epoch=1", "Starting goes on", "Training goes on"]


def test_a_job_that_runs_is_followed_and_not_created() -> None:
    running = described("InProgress")
    client, one, _ = job(running, described("Completed"))
    assert [str(change) for change in one.diff(running)] == ["TrainingJobStatus: InProgress -> Completed"]
    one.update(running, one.diff(running))
    assert "create_training_job" not in client.names()


def test_a_failure_says_its_reason() -> None:
    _, one, _ = job(described("Failed", FailureReason="AlgorithmError: no data."))
    with pytest.raises(StepFailed, match="The training job one failed: AlgorithmError: no data"):
        one.create()


def test_a_job_that_runs_is_stopped_before_it_is_deleted() -> None:
    client, one, _ = job(described("InProgress"), described("Stopping"), described("Stopped"))
    one.delete()
    assert [name for name in client.names() if name != "describe_training_job"] == [
        "stop_training_job",
        "delete_training_job",
    ]


def test_a_job_that_is_deleted_while_it_is_followed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    _, one, _ = job(described("InProgress"), missing())
    with pytest.raises(StepFailed, match="The training job one was deleted meanwhile"):
        one.create()
