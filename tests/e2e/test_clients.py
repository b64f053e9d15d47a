"""Every step of the README by boto3 and by the aws CLI, which get only AWS_ENDPOINT_URL and dummy keys."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.clients import Clients
from infra.hosts.host import RunningStack
from infra.paths import CHECKOUT, paths
from infra.resources.function import pack
from tests.e2e.environment import Environment

ROLE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": ["sagemaker.amazonaws.com", "lambda.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    ],
}

RIGHTS = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject"],
            "Resource": ["arn:aws:s3:::by-hand", "arn:aws:s3:::by-hand/*"],
        },
        {
            "Effect": "Allow",
            "Action": ["logs:*", "cloudwatch:PutMetricData", "sagemaker:InvokeEndpoint"],
            "Resource": "*",
        },
    ],
}


def aws_cli() -> str | None:
    beside = paths({}).environments / "plugin" / "bin" / "aws"  # LocalStack depends on it
    return str(beside) if beside.exists() else shutil.which("aws")


def wait_for(call: Callable[[], dict[str, Any]], key: str, until: str, limit_s: float = 180) -> dict[str, Any]:
    deadline = time.monotonic() + limit_s
    while True:
        found = call()
        if found[key] == until:
            return found
        assert found[key] in ("InProgress", "Creating", "Pending"), found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


@pytest.fixture
def session(running: RunningStack, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
    return boto3.Session("test", "test", region_name="us-east-1")


def test_every_step_with_boto3(session: boto3.Session, shared_environment: Environment) -> None:
    s3, iam, sagemaker = session.client("s3"), session.client("iam"), session.client("sagemaker")
    s3.create_bucket(Bucket="by-hand")
    for path in shared_environment.digits.rglob("*.png"):
        s3.upload_file(str(path), "by-hand", f"data/{path.relative_to(shared_environment.digits).as_posix()}")
    role = iam.create_role(RoleName="by-hand", AssumeRolePolicyDocument=json.dumps(ROLE))["Role"]["Arn"]
    iam.put_role_policy(RoleName="by-hand", PolicyName="rights", PolicyDocument=json.dumps(RIGHTS))

    def channel(name: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://by-hand/data/{name}/"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}}

    sagemaker.create_training_job(
        TrainingJobName="by-hand",
        AlgorithmSpecification={"TrainingImage": "stagemaker/trainer", "TrainingInputMode": "File"},
        RoleArn=role,
        HyperParameters={"epochs": "1", "image-size": "64"},
        InputDataConfig=[channel("train"), channel("valid")],
        OutputDataConfig={"S3OutputPath": "s3://by-hand/models"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    job = wait_for(lambda: sagemaker.describe_training_job(TrainingJobName="by-hand"), "TrainingJobStatus", "Completed")
    sagemaker.create_model(
        ModelName="by-hand",
        PrimaryContainer={"Image": "stagemaker/serve", "ModelDataUrl": job["ModelArtifacts"]["S3ModelArtifacts"]},
        ExecutionRoleArn=role,
    )
    variant = {"VariantName": "v", "ModelName": "by-hand", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="by-hand", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="by-hand", EndpointConfigName="by-hand")
    wait_for(lambda: sagemaker.describe_endpoint(EndpointName="by-hand"), "EndpointStatus", "InService")

    photo = next((shared_environment.digits / "test" / "digit-3").iterdir())
    answer = session.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="by-hand", ContentType="image/png", Body=photo.read_bytes()
    )
    (logits,) = json.loads(answer["Body"].read())
    assert len(logits) == 10

    function = session.client("lambda")
    function.create_function(
        FunctionName="by-hand",
        Runtime="python3.13",
        Handler="handler.lambda_handler",
        Role=role,
        Code={"ZipFile": pack(CHECKOUT / "containers" / "lambda" / "handler.py")},
        Timeout=60,
        Environment={"Variables": {"ENDPOINT_NAME": "by-hand"}},
    )
    wait_for(lambda: function.get_function_configuration(FunctionName="by-hand"), "State", "Active")
    event = {"s3": f"s3://by-hand/data/test/digit-3/{photo.name}"}
    reply = json.loads(function.invoke(FunctionName="by-hand", Payload=json.dumps(event))["Payload"].read())
    assert reply["statusCode"] == 200
    assert json.loads(reply["body"])[0] == pytest.approx(logits, abs=1e-4)


def test_steps_with_the_aws_cli(
    running: RunningStack, shared_environment: Environment, tmp_path: Path, clients: Clients
) -> None:
    program = aws_cli()
    if program is None:
        pytest.skip("there is no aws CLI on this machine")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }

    def aws(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert json.loads(aws("sts", "get-caller-identity"))["Account"] == clients.account
    aws("s3", "mb", "s3://by-cli")
    aws("s3", "cp", "--recursive", "--quiet", str(shared_environment.digits / "test"), "s3://by-cli/test")
    photo = next((shared_environment.digits / "test" / "digit-3").iterdir())
    described = json.loads(aws("sagemaker", "describe-endpoint", "--endpoint-name", "by-hand"))
    assert described["EndpointStatus"] == "InService"
    assert json.loads(aws("sagemaker", "list-training-jobs"))["TrainingJobSummaries"][0]["TrainingJobName"] == "by-hand"
    aws(
        "sagemaker-runtime", "invoke-endpoint", "--endpoint-name", "by-hand", "--content-type", "image/png",
        "--accept", "application/json;top-k=3", "--body", f"fileb://{photo}", "answer.json",
    )  # fmt: skip
    assert len(json.loads((tmp_path / "answer.json").read_text())[0]) == 3
    event = json.dumps({"s3": f"s3://by-hand/data/test/digit-3/{photo.name}"})
    aws("lambda", "invoke", "--function-name", "by-hand", "--payload", event, "reply.json")
    assert json.loads((tmp_path / "reply.json").read_text())["statusCode"] == 200
    groups = json.loads(aws("logs", "describe-log-groups"))["logGroups"]
    assert "/aws/sagemaker/TrainingJobs" in {group["logGroupName"] for group in groups}
    aws("sagemaker", "delete-endpoint", "--endpoint-name", "by-hand")
