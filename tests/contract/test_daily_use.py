"""What users do every day with unmodified clients: pages, tables, long names, and texts that are not ASCII."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name

from tests.contract.gateway import REGION, Gateway, ended, training_request
from tests.contract.own_operations import own_operations

NAME = "daily-" + "x" * 57  # the 63 characters that a name may have
TEXT = "Grüße, 日本 ñ"
REPEATS = """
import json, os, pathlib
base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
data = base / "input" / "data" / "train"
found = {path.relative_to(data).as_posix(): path.read_text() for path in data.rglob("*") if path.is_file()}
(base / "output" / "data" / "report.json").write_text(json.dumps(found))
print("said", json.dumps([wishes["text"], len(wishes["long"]), os.environ["GREETING"]], ensure_ascii=False), flush=True)
"""


@pytest.fixture(scope="module")
def job(gateway: Gateway, role: str) -> Any:
    """A training job with all that is long or not ASCII, after its end."""
    sagemaker, s3 = gateway.client("sagemaker"), gateway.client("s3")
    s3.put_object(Bucket="data", Key="daily/ñandú/日本 1+2.txt", Body=TEXT.encode())
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/daily"}}
    sagemaker.create_training_job(
        **training_request(
            NAME,
            role,
            HyperParameters={"text": TEXT, "long": "x" * 2500, "source": json.dumps(REPEATS)},
            Environment={"GREETING": TEXT},
            InputDataConfig=[{"ChannelName": "train", "DataSource": source}],
            Tags=[{"Key": f"Équipe {TEXT}"[:8], "Value": "ñandú"}],
        )
    )
    return ended(sagemaker, NAME)


def test_long_names_and_other_alphabets_reach_the_container_and_come_back(gateway: Gateway, job: Any) -> None:
    assert job["TrainingJobStatus"] == "Completed"
    assert (job["HyperParameters"]["text"], job["Environment"]) == (TEXT, {"GREETING": TEXT})
    logs = gateway.client("logs")
    group = {"logGroupName": "/aws/sagemaker/TrainingJobs"}
    (stream,) = logs.describe_log_streams(**group, logStreamNamePrefix=f"{NAME}/")["logStreams"]
    events = logs.get_log_events(**group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
    (said,) = (event["message"] for event in events if event["message"].startswith("said "))
    assert json.loads(said.removeprefix("said ")) == [TEXT, 2500, TEXT]
    (files,) = (event["message"] for event in events if event["message"].startswith("data "))
    assert "ñandú/日本 1+2.txt" in files
    tags = gateway.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [{"Key": "Équipe G", "Value": "ñandú"}]


@pytest.mark.parametrize("name", ["x" * 64, "under_score", "-first", "ñ"])
def test_a_name_that_aws_does_not_take(gateway: Gateway, role: str, name: str) -> None:
    sagemaker = gateway.client("sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError) as caught:
        sagemaker.create_training_job(**training_request(name, role))
    error = caught.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"].startswith(f"1 validation error detected: Value '{name}' at 'trainingJobName' failed to")


def test_the_aws_cli_shows_a_table_and_pages_by_itself(gateway: Gateway, job: Any) -> None:
    assert job
    command = [str(Path(sys.executable).with_name("aws")), "sagemaker", "list-training-jobs", "--output", "table"]
    keys = {"AWS_ACCESS_KEY_ID": "000000000000", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
    environment = {**os.environ, **keys, "AWS_ENDPOINT_URL": gateway.url, "AWS_PAGER": ""}
    said = subprocess.run(
        [*command, "--name-contains", "DAILY-", "--page-size", "1", "--creation-time-after", "2020-01-01"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert said.returncode == 0, said.stderr
    assert {"ListTrainingJobs", "TrainingJobName", NAME, "Completed"} <= set(re.split(r"[\s|]+", said.stdout))


# The members that a paginator's request needs, by service and operation; none of the others needs any.
NEEDED: dict[tuple[str, str], dict[str, Any]] = {
    ("sagemaker", "ListTags"): {"ResourceArn": f"arn:aws:sagemaker:{REGION}:000000000000:training-job/{NAME}"},
    ("sagemaker", "Search"): {"Resource": "TrainingJob"},
    ("application-autoscaling", "DescribeScalableTargets"): {"ServiceNamespace": "sagemaker"},
    ("application-autoscaling", "DescribeScalingPolicies"): {"ServiceNamespace": "sagemaker"},
    ("application-autoscaling", "DescribeScheduledActions"): {"ServiceNamespace": "sagemaker"},
    ("application-autoscaling", "DescribeScalingActivities"): {"ServiceNamespace": "sagemaker"},
}
ELSEWHERE = {  # they need what other tests make: a tuning job, and the registry of the stack in containers
    ("sagemaker", "ListTrainingJobsForHyperParameterTuningJob"),
    ("ecr", "DescribeImages"),
    ("ecr", "ListImages"),
    ("ecr", "GetLifecyclePolicyPreview"),
}


def test_every_paginator_of_an_operation_of_ours_comes_to_its_end(gateway: Gateway, job: Any) -> None:
    assert job
    paged = []
    for service, operations in own_operations().items():
        client = gateway.client(service)
        for operation in operations:
            if client.can_paginate(xform_name(operation)) and (service, operation) not in ELSEWHERE:
                size = 50 if operation == "ListTags" else 1  # AWS's least for tags
                paginator = client.get_paginator(xform_name(operation))
                pages = paginator.paginate(**NEEDED.get((service, operation), {}), PaginationConfig={"PageSize": size})
                items = [item for page in pages for item in page[paginator.result_keys[0].expression]]
                shown = [json.dumps(item, sort_keys=True, default=str) for item in items]
                assert len(set(shown)) == len(shown), operation
                paged.append((service, operation))
    assert NEEDED.keys() <= set(paged)
    assert len(paged) > len(NEEDED)


def test_the_listing_of_the_job_by_pages_has_it_once(gateway: Gateway, job: Any) -> None:
    paginator = gateway.client("sagemaker").get_paginator("list_training_jobs")
    pages = paginator.paginate(NameContains="daily-", SortBy="Name", PaginationConfig={"PageSize": 1})
    found = [summary["TrainingJobArn"] for page in pages for summary in page["TrainingJobSummaries"]]
    assert found.count(job["TrainingJobArn"]) == 1
