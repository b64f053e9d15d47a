"""Managed spot training through the gateway: interrupted by a call of our own, and resumed from its checkpoint."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.contract.gateway import Gateway, ended, training_request, until


def interrupt(gateway: Gateway, body: bytes) -> tuple[int, Any]:
    """Status and answer of the call."""
    request = urllib.request.Request(f"{gateway.url}/_stagemaker/interruptions", data=body, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def arn(body: str) -> bytes:
    return json.dumps({"TrainingJobArn": body}).encode()


def test_an_interrupted_job_goes_on_from_its_checkpoint(gateway: Gateway, role: str) -> None:
    sagemaker = gateway.client("sagemaker")
    request = training_request(
        "spot",
        role,
        HyperParameters={"wait": "1", "checkpoint": "7"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": "s3://data/spot"},
    )
    job = sagemaker.create_training_job(**request)["TrainingJobArn"]
    until(lambda: sagemaker.describe_training_job(TrainingJobName="spot"), lambda found: "FinalMetricDataList" in found)
    assert interrupt(gateway, arn(job)) == (202, {})
    found = ended(sagemaker, "spot")
    attempt = ["Starting", "Downloading", "Training"]
    steps = [step["Status"] for step in found["SecondaryStatusTransitions"]]
    assert steps == [*attempt, "Interrupted", *attempt, "Uploading", "Completed"]
    assert found["BillableTimeInSeconds"] <= found["TrainingTimeInSeconds"]
    assert interrupt(gateway, arn(job))[0] == 409


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"TrainingJobArn": 1}', arn("arn:aws:sagemaker:eu-west-1:000000000000:training-job/no")],
)
def test_what_names_no_job(gateway: Gateway, body: bytes) -> None:
    status, answer = interrupt(gateway, body)
    assert (status, answer["__type"]) == (400, "ValidationException")


def test_a_body_that_is_too_long_is_not_read(gateway: Gateway) -> None:
    assert interrupt(gateway, b" " * 10_000)[0] == 400
