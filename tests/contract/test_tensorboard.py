"""TensorBoard files through the gateway: S3 has them while their job runs, under the job's role."""

import json

from botocore.exceptions import ClientError

from tests.contract.gateway import Gateway, ended, make_role, training_request, until
from tests.contract.users import allow, unique

FOLDER = "output/tensorboard"
WRITES = f"""
import atexit
events = base / "{FOLDER}/events.1"
events.write_text("first")
atexit.register(lambda: events.open("a").write(" and last"))
"""
LOG_GROUP = "/aws/sagemaker/TrainingJobs"


def role_for(gateway: Gateway, name: str, *prefixes: str) -> str:
    """A role that may read the data, write below these prefixes of the bucket, and log."""
    arn = "arn:aws:s3:::data"
    statements = (
        allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]),
        allow("s3:ListBucket", arn),
        allow("s3:GetObject", f"{arn}/train/*"),
        *(allow("s3:PutObject", f"{arn}/{prefix}/*") for prefix in prefixes),
    )
    return make_role(gateway, name, policy={"Version": "2012-10-17", "Statement": statements})


def test_files_are_sent_while_the_job_runs_by_a_role_that_may(strict_gateway: Gateway) -> None:
    sagemaker, s3, name = strict_gateway.client("sagemaker"), strict_gateway.client("s3"), unique("board")
    config = {"S3OutputPath": "s3://data/boards"}
    request = training_request(
        name,
        role_for(strict_gateway, name, "out", f"boards/{name}"),
        HyperParameters={"source": json.dumps(WRITES), "wait": "1"},
        TensorBoardOutputConfig=config,
    )
    sagemaker.create_training_job(**request)
    key = f"boards/{name}/tensorboard-output/events.1"

    def sent() -> str:
        try:
            return str(s3.get_object(Bucket="data", Key=key)["Body"].read().decode())
        except ClientError as error:
            return str(error.response["Error"]["Code"])

    assert until(sent, lambda found: found != "NoSuchKey") == "first"
    assert sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "InProgress"
    sagemaker.stop_training_job(TrainingJobName=name)
    job = ended(sagemaker, name)
    assert (job["TrainingJobStatus"], job["TensorBoardOutputConfig"]) == ("Stopped", config)
    assert sent() == "first and last"


def test_a_role_that_may_not_send_them_is_told_in_the_log_and_the_model_is_kept(strict_gateway: Gateway) -> None:
    sagemaker, logs, name = strict_gateway.client("sagemaker"), strict_gateway.client("logs"), unique("board")
    request = training_request(
        name,
        role_for(strict_gateway, name, "out"),
        HyperParameters={"source": json.dumps(WRITES)},
        TensorBoardOutputConfig={"S3OutputPath": "s3://data/boards"},
    )
    sagemaker.create_training_job(**request)
    assert ended(sagemaker, name)["TrainingJobStatus"] == "Completed"
    found = logs.filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")
    (line,) = [event["message"] for event in found["events"] if "TensorBoard" in event["message"]]
    assert line.startswith("Stagemaker: the TensorBoard file 'events.1' is not saved: ")
    assert "s3:PutObject" in line
