"""The plugin inside a real LocalStack, as boto3 sees it: errors, logs, metrics, credentials, lifecycle."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import (
    TRAINER,
    Gateway,
    ended,
    make_bucket,
    make_role,
    running,
    training_request,
    until,
)

GROUP = "/aws/sagemaker/TrainingJobs"


@pytest.fixture(scope="module")
def sagemaker(gateway: Gateway) -> Any:
    return gateway.client("sagemaker")


def refusal(call: Any, **request: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


@pytest.mark.parametrize(
    ("changes", "code", "sentence"),
    [
        ({"TrainingJobName": "a_b"}, "ValidationException", "regular expression pattern"),
        ({"RoleArn": "arn:aws:iam::000000000000:role/none"}, "ValidationException", "Could not assume role"),
        ({"RoleArn": "arn:aws:iam::111111111111:role/stage"}, "ValidationException", "Cross-account"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket/x"}}, "ValidationException", "There is no bucket"),
        (
            {"AlgorithmSpecification": {"TrainingImage": "pytorch:2", "TrainingInputMode": "File"}},
            "ValidationException",
            "needs Docker",
        ),
        ({"ExperimentConfig": {"TrialName": "dogs"}}, "NotImplementedException", "ExperimentConfig"),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}},
            "ResourceLimitExceeded",
            "Several instances need Docker",
        ),
        (
            {
                "AlgorithmSpecification": {
                    "TrainingImage": TRAINER,
                    "TrainingInputMode": "File",
                    "ContainerEntrypoint": ["python3"],
                }
            },
            "ValidationException",
            "needs Docker to run another program: leave out ContainerEntrypoint",
        ),
    ],
)
def test_bad_input(sagemaker: Any, role: str, changes: dict[str, Any], code: str, sentence: str) -> None:
    got, status, message = refusal(sagemaker.create_training_job, **training_request("bad", role, **changes))
    assert (got, status) == (code, 501 if code == "NotImplementedException" else 400)
    assert sentence in message
    assert not sagemaker.list_training_jobs(NameContains="bad")["TrainingJobSummaries"]


def test_a_prefix_without_objects(sagemaker: Any, role: str) -> None:
    request = training_request("bad", role)
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = "s3://data/nothing"
    code, _, message = refusal(sagemaker.create_training_job, **request)
    assert code == "ValidationException"
    assert 'No S3 objects found under S3 URL "s3://data/nothing"' in message


def test_a_role_that_does_not_trust_sagemaker(gateway: Gateway, sagemaker: Any) -> None:
    other = make_role(gateway, "for-lambda", "lambda.amazonaws.com")
    code, _, message = refusal(sagemaker.create_training_job, **training_request("bad", other))
    assert code == "ValidationException"
    assert "allows principal 'sagemaker.amazonaws.com'" in message


def test_a_name_that_is_taken(sagemaker: Any, role: str) -> None:
    sagemaker.create_training_job(**training_request("taken", role))
    with pytest.raises(sagemaker.exceptions.ResourceInUse):
        sagemaker.create_training_job(**training_request("taken", role))
    ended(sagemaker, "taken")


def test_what_nobody_implements_answers_501_by_its_name(sagemaker: Any) -> None:
    for call in (sagemaker.list_apps, sagemaker.list_clusters):
        code, status, message = refusal(call)
        assert (code, status) == ("NotImplementedException", 501)
        assert re.search("the operation List(Apps|Clusters) of sagemaker", message)


def test_moto_keeps_the_records_that_are_only_records(sagemaker: Any) -> None:
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_another_account_and_region_see_nothing(gateway: Gateway, sagemaker: Any, role: str) -> None:
    sagemaker.create_training_job(**training_request("mine", role))
    ended(sagemaker, "mine")
    other = gateway.client("sagemaker", account="111111111111")
    assert other.list_training_jobs()["TrainingJobSummaries"] == []


def test_logs_metrics_and_artifacts(gateway: Gateway, sagemaker: Any, role: str) -> None:
    sagemaker.create_training_job(**training_request("told", role, HyperParameters={"checkpoint": "3"},
                                                     CheckpointConfig={"S3Uri": "s3://data/told"}))  # fmt: skip
    job = ended(sagemaker, "told")
    assert job["FinalMetricDataList"][0]["Value"] == 0.75
    logs = gateway.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="told/")["logStreams"]
    assert re.fullmatch(r"told/algo-1-\d{10}", stream["logStreamName"])
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"], startFromHead=True)
    lines = [event["message"] for event in events["events"]]
    assert lines[0] == "Stagemaker: algo-1 runs on this machine, shared with everything else that runs on it"
    assert lines[2:] == ["data ['input/data/train/cat/1.txt', 'input/data/train/dog/2.txt']", "accuracy=0.5 été",
                         "accuracy=0.75"]  # fmt: skip
    environment = json.loads(lines[1].removeprefix("environment "))
    assert environment["AWS_ENDPOINT_URL"] == gateway.url
    assert environment["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-west-1"
    metrics = gateway.client("cloudwatch").list_metrics(Namespace=GROUP, MetricName="accuracy")["Metrics"]
    assert [{"Name": "TrainingJobName", "Value": "told"}] in [metric["Dimensions"] for metric in metrics]
    s3 = gateway.client("s3")
    for key in ("out/told/output/model.tar.gz", "out/told/output/output.tar.gz", "told/last.txt"):
        assert s3.head_object(Bucket="data", Key=key)["ContentLength"] > 0


def test_a_model_without_compression_lies_in_s3_file_by_file(gateway: Gateway, sagemaker: Any, role: str) -> None:
    output = {"S3OutputPath": "s3://data/out", "CompressionType": "NONE"}
    sagemaker.create_training_job(**training_request("files", role, OutputDataConfig=output))
    artifacts = ended(sagemaker, "files")["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifacts == "s3://data/out/files/output/model/"
    found = gateway.client("s3").list_objects_v2(Bucket="data", Prefix="out/files/output/")["Contents"]
    assert [each["Key"].removeprefix("out/files/output/") for each in found] == ["model/weights.txt", "output.tar.gz"]


def test_the_containers_credentials_are_the_roles(gateway: Gateway, sagemaker: Any, role: str) -> None:
    ask = "import boto3; print('I am', boto3.client('sts').get_caller_identity()['Arn'], flush=True)"
    sagemaker.create_training_job(**training_request("who", role, HyperParameters={"source": json.dumps(ask)}))
    ended(sagemaker, "who")
    logs = gateway.client("logs")
    (stream,) = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="who/")["logStreams"]
    first, second, third, *_ = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"])["events"]
    assert first["message"].startswith("Stagemaker: algo-1 runs on ")
    assert second["message"] == "I am arn:aws:sts::000000000000:assumed-role/stage/SageMaker"
    assert "AWS_ACCESS_KEY_ID" not in third["message"]


def test_eight_jobs_at_once(sagemaker: Any, role: str) -> None:
    names = [f"many-{number}" for number in range(8)]
    for name in names:
        sagemaker.create_training_job(**training_request(name, role))
    assert {ended(sagemaker, name)["TrainingJobStatus"] for name in names} == {"Completed"}


def test_it_listens_on_loopback_only(gateway: Gateway) -> None:
    found = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    own = [line.split()[3] for line in found if f"pid={gateway.pid}," in line]
    assert own
    assert all(address.startswith("127.0.0.1:") for address in own)


def test_a_shutdown_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        make_bucket(gateway, "data", {"train/x": b"x"})
        role = make_role(gateway, "stage")
        client = gateway.client("sagemaker")
        client.create_training_job(**training_request("runs", role, HyperParameters={"wait": "1"}))
        until(lambda: client.describe_training_job(TrainingJobName="runs"), lambda job: "FinalMetricDataList" in job)
        processes = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=True).stdout
        assert len(processes.split()) >= 1
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False).stdout
    assert left == ""
    assert not list(tmp_path.rglob("stagemaker"))


def test_a_description_has_what_aws_answers_where_nothing_was_given(sagemaker: Any, role: str) -> None:
    """SDK 2's Estimator.attach reads them without asking whether they are there."""
    request = training_request("defaults", role, DebugHookConfig={"S3OutputPath": "s3://data/debug"})
    sagemaker.create_training_job(**request)
    job = sagemaker.describe_training_job(TrainingJobName="defaults")
    assert job["OutputDataConfig"]["KmsKeyId"] == ""
    assert [(c["CompressionType"], c["RecordWrapperType"]) for c in job["InputDataConfig"]] == [("None", "None")]
    assert job["DebugHookConfig"]["CollectionConfigurations"] == []
    assert job["ProfilingStatus"] == "Disabled"
    assert job["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is True  # it has a MetricDefinition
    flags = ("EnableNetworkIsolation", "EnableManagedSpotTraining", "EnableInterContainerTrafficEncryption")
    assert [job[flag] for flag in flags] == [False] * 3
