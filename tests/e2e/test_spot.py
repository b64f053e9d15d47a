"""Our trainer on managed spot training: interrupted, resumed, and equal to one that was left alone, bit for bit."""

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

from infra.clients import Clients, connect
from tests.e2e.environment import Environment, leftovers
from tests.interruptions import interrupt

EPOCHS = "--set=epochs=4"
LIMIT_S = 300


def until(read: Any, condition: Any) -> Any:
    """Poll until it is so, with a bound."""
    end = time.monotonic() + LIMIT_S
    while not condition(found := read()):
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return found


def model(clients: Clients, job: dict[str, Any]) -> dict[str, bytes]:
    """The files of the job's artifact, but for the card, which has its times."""
    bucket, _, key = job["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    data = clients.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        return {name: file.read() for name, file in found.items() if file and name.endswith((".safetensors", ".onnx"))}


def _allow_checkpoints(clients: Clients, role: str, bucket: str) -> None:
    """What a role may only where the preset trains on spot instances."""
    objects, actions = (
        f"arn:aws:s3:::{bucket}/models/checkpoints/*",
        ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
    )
    statements = [
        {"Effect": "Allow", "Action": actions, "Resource": objects},
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    clients.iam.put_role_policy(RoleName=role, PolicyName="checkpoints", PolicyDocument=document)


def test_an_interrupted_training_equals_one_that_was_left_alone(environment: Environment, tmp_path: Path) -> None:
    for words in (["start"], ["train", EPOCHS]):
        code, output = environment.run(*words)
        assert code == 0, output
    url = f"http://127.0.0.1:{environment.port}"
    clients = connect("local", "us-east-1", {"AWS_ENDPOINT_URL": url})
    sagemaker = clients.sagemaker
    (summary,) = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    alone = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    taken = ("AlgorithmSpecification", "RoleArn", "HyperParameters", "InputDataConfig", "OutputDataConfig",
             "ResourceConfig")  # fmt: skip
    bucket = alone["OutputDataConfig"]["S3OutputPath"].split("/")[2]
    _allow_checkpoints(clients, alone["RoleArn"].rpartition("/")[2], bucket)
    arn = sagemaker.create_training_job(
        TrainingJobName="spot",
        **{member: alone[member] for member in taken},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": f"s3://{bucket}/models/checkpoints"},
    )["TrainingJobArn"]
    measured = until(
        lambda: sagemaker.describe_training_job(TrainingJobName="spot"),
        lambda job: "FinalMetricDataList" in job or job["TrainingJobStatus"] == "Failed",
    )
    assert "FinalMetricDataList" in measured, measured.get("FailureReason")
    body = json.dumps({"TrainingJobArn": arn}).encode()
    assert interrupt(url, body, "sagemaker") == (202, {})
    ends = ("Completed", "Failed", "Stopped")
    spot = until(
        lambda: sagemaker.describe_training_job(TrainingJobName="spot"), lambda job: job["TrainingJobStatus"] in ends
    )
    assert spot["TrainingJobStatus"] == "Completed", spot.get("FailureReason")
    assert "Interrupted" in [step["Status"] for step in spot["SecondaryStatusTransitions"]]
    found, expected = model(clients, spot), model(clients, alone)
    assert found.keys() == expected.keys()
    assert len(found) >= 2
    assert all(found[name] == expected[name] for name in found)
    values = [{m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]} for job in (spot, alone)]
    assert values[0] == values[1]
    code, output = environment.run("stop")
    assert code == 0, output
    assert leftovers(tmp_path) == []
