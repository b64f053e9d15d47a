"""Managed spot training through the gateway: interrupted by a call of our own, and resumed from its checkpoint."""

import json
from typing import Any

import pytest

from tests import interruptions
from tests.contract.gateway import Gateway, ended, make_role, training_request, until
from tests.contract.users import allow, make_user, unique


def interrupt(gateway: Gateway, body: bytes) -> tuple[int, Any]:
    """Status and answer of the call of nobody."""
    return interruptions.interrupt(gateway.url, body, "sagemaker", keys=None)


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


def test_in_the_mode_strict_it_takes_the_right_to_stop_the_job(strict_gateway: Gateway) -> None:
    sagemaker, name = strict_gateway.client("sagemaker"), unique("spot")
    request = training_request(
        name,
        make_role(strict_gateway, name),
        HyperParameters={"wait": "600"},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": f"s3://data/{name}"},
    )
    job = sagemaker.create_training_job(**request)["TrainingJobArn"]
    until(lambda: sagemaker.describe_training_job(TrainingJobName=name), lambda found: "FinalMetricDataList" in found)

    def asked(keys: tuple[str, str] | None, service: str = "sagemaker") -> tuple[int, str]:
        status, answer = interruptions.interrupt(strict_gateway.url, arn(job), service, keys)
        return status, answer.get("__type", "")

    user = make_user(strict_gateway, allow("sagemaker:StopTrainingJob", job.replace(name, "another")))
    keys = user.access_key_id, user.secret
    assert asked(None) == (403, "MissingAuthenticationTokenException")
    assert asked((user.access_key_id, "wrong")) == (403, "InvalidSignatureException")
    assert asked(keys) == (400, "AccessDeniedException")
    user.allow(allow("sagemaker:StopTrainingJob", job))
    assert asked(keys, "ec2") == (403, "InvalidSignatureException")
    assert asked(keys) == (202, "")
    sagemaker.stop_training_job(TrainingJobName=name)
    ended(sagemaker, name)
