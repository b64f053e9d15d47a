"""Requests to asynchronous endpoints: what is planned for them, and what is told of their end."""

import itertools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.hosting.async_config import ERROR, SUCCESS, AsyncConfig
from stagemaker.hosting.async_request import (
    TEST_MESSAGE,
    AsyncRequest,
    Outcome,
    log_line,
    message,
    plan_async,
    server_error,
)
from tests.unit.plugin.fakes import SCOPE

REF = Ref(SCOPE, ENDPOINT, "end")
IN = "s3://data/in.json"


def plan(config: Mapping[str, Any] | None = None, **request: Any) -> AsyncRequest:
    output = {"S3OutputPath": "s3://data/out/", **(config or {})}
    numbers = itertools.count(1)
    return plan_async(
        {"EndpointName": "end", **request},
        AsyncConfig({"OutputConfig": output}),
        queued_s=100.0,
        received_s=1_800_000_000.25,
        new_id=lambda: f"id-{next(numbers)}",
    )


def test_defaults() -> None:
    planned = plan(InputLocation=IN)
    assert planned.output_location == "s3://data/out/id-1.out"
    assert planned.inference_id == "id-2"  # AWS's object has another name than the request
    assert planned.failure_location is None
    assert (planned.expires_s, planned.timeout_s) == (100.0 + 21_600, 900)
    assert planned.headers == {"X-Amzn-SageMaker-Inference-Id": "id-2"}


def test_all_that_a_request_can_say() -> None:
    planned = plan(
        {"S3FailurePath": "s3://data/failed"},
        Body=b"1,2",
        ContentType="text/csv",
        Accept="a/b",
        CustomAttributes="x=1",
        InferenceId="mine",
        S3OutputPathExtension="/by/day/",
        Filename="answer.json",
        RequestTTLSeconds=60,
        InvocationTimeoutSeconds=5,
    )
    assert (planned.body, planned.input_location) == (b"1,2", None)
    assert planned.output_location == "s3://data/out/by/day/answer.json"
    assert planned.failure_location == "s3://data/failed/by/day/id-1-error.out"
    assert (planned.inference_id, planned.expires_s, planned.timeout_s) == ("mine", 160.0, 5.0)
    assert planned.headers == {
        "Content-Type": "text/csv",
        "Accept": "a/b",
        "X-Amzn-SageMaker-Custom-Attributes": "x=1",
        "X-Amzn-SageMaker-Inference-Id": "mine",
    }


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({}, "ValidationError"),
        ({"Body": b""}, "ValidationError"),
        ({"Body": b"x", "InputLocation": IN}, "ValidationError"),
        ({"Body": bytes(128_001)}, "ValidationError"),
        ({"InputLocation": "https://data.s3.amazonaws.com/in"}, "NotImplementedException"),
    ],
)
def test_an_input_that_is_none_or_two_or_too_long_is_refused(request_: dict[str, Any], code: str) -> None:
    with pytest.raises(ApiError) as error:
        plan(**request_)
    assert error.value.code == code
    plan(Body=bytes(128_000))


def test_the_message_of_a_success_has_aws_s_members() -> None:
    planned = plan(InputLocation=IN, ContentType="text/csv", Accept="a/b")
    told = message(REF, planned, Outcome(content_type="a/b", told=b"hidden"), 1_800_000_001.5)
    assert told == {
        "awsRegion": "eu-west-1",
        "eventTime": "2027-01-15T08:00:01.500Z",
        "receivedTime": "2027-01-15T08:00:00.250Z",
        "invocationStatus": "Completed",
        "requestParameters": {
            "accept": "a/b",
            "contentType": "text/csv",
            "endpointName": "end",
            "inputLocation": IN,
        },
        "responseParameters": {"contentType": "a/b", "outputLocation": "s3://data/out/id-1.out"},
        "inferenceId": "id-2",
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def test_the_message_of_a_failure_says_why() -> None:
    told = message(REF, plan(Body=b"1"), Outcome(server_error(500)), 1_800_000_001.0)
    assert told["invocationStatus"] == "Failed"
    assert told["failureReason"] == (
        "ClientError: Received server error (500) from model. "
        "See the SageMaker Endpoint logs in your account for more information."
    )
    assert told["requestParameters"] == {"endpointName": "end"}
    assert "responseBody" not in told


@pytest.mark.parametrize(("topic", "failure"), [(SUCCESS, ""), (ERROR, "ClientError: so")])
def test_the_answer_is_in_the_message_where_the_configuration_says_so(topic: str, failure: str) -> None:
    included = plan({"NotificationConfig": {"IncludeInferenceResponseIn": [topic]}}, Body=b"1")
    told = message(REF, included, Outcome(failure, told=b"answer"), 0.0)
    assert told["responseBody"] == {"content": "YW5zd2Vy", "message": "", "encoding": "BASE64"}
    other = "" if failure else "ClientError: so"
    assert "responseBody" not in message(REF, included, Outcome(other, told=b"answer"), 0.0)
    assert "responseBody" not in message(REF, included, Outcome(failure), 0.0)


def test_a_line_of_the_data_log_names_the_request() -> None:
    line = log_line(plan(Body=b"1", InferenceId="mine"), 1_800_000_000.0, "It is so.")
    assert line == "2027-01-15T08:00:00.000:[sagemaker logs] [mine] It is so."


def test_the_test_of_a_topic_is_aws_s() -> None:
    assert json.loads(TEST_MESSAGE)["eventName"] == "TestNotification"
