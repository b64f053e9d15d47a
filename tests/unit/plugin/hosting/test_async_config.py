"""AsyncInferenceConfig: what it says, and which ones are refused."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.async_config import ERROR, SUCCESS, AsyncConfig, async_config, check_async_config

FULL = {
    "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 7},
    "OutputConfig": {
        "S3OutputPath": "s3://bucket/out",
        "S3FailurePath": "s3://bucket/failed",
        "NotificationConfig": {
            "SuccessTopic": "arn:aws:sns:eu-west-1:123456789012:good",
            "ErrorTopic": "arn:aws:sns:eu-west-1:123456789012:bad",
            "IncludeInferenceResponseIn": [SUCCESS],
        },
    },
}

CAPTURE = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": "s3://bucket/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


def request(output: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"AsyncInferenceConfig": {"OutputConfig": output or {"S3OutputPath": "s3://bucket"}}, **members}


def test_everything_that_can_be_said_is_read() -> None:
    config = AsyncConfig(FULL)
    assert (config.output_path, config.failure_path) == ("s3://bucket/out", "s3://bucket/failed")
    assert config.max_concurrent == 7
    assert config.success_topic != config.error_topic
    assert config.topics == {config.success_topic, config.error_topic}
    assert [config.includes_response(topic) for topic in (SUCCESS, ERROR)] == [True, False]


def test_what_is_not_said_has_defaults() -> None:
    config = async_config(request())
    assert config
    assert (config.failure_path, config.topics, config.max_concurrent) == (None, frozenset(), 4)
    assert not config.includes_response(SUCCESS)


def test_an_endpoint_without_it_is_a_real_time_one() -> None:
    assert async_config({"ProductionVariants": []}) is None
    check_async_config({"ProductionVariants": []})
    check_async_config(request(DataCaptureConfig={**CAPTURE, "EnableCapture": False}))


@pytest.mark.parametrize(
    ("refused", "code", "sentence"),
    [
        (request({"KmsKeyId": "key"}), "ValidationException", "S3OutputPath of AsyncInferenceConfig must be given"),
        (request({"S3OutputPath": "https://s3/b"}), "NotImplementedException", "S3OutputPath of the form https://"),
        (
            request({"S3OutputPath": "s3://b", "S3FailurePath": "s3:///x"}),
            "ValidationException",
            "S3FailurePath must be given as s3://bucket/prefix, not as s3:///x",
        ),
        (request(DataCaptureConfig=CAPTURE), "NotImplementedException", "DataCaptureConfig together with Async"),
        (request(ShadowProductionVariants=[{}]), "ValidationException", "ShadowProductionVariants are not supported"),
    ],
)
def test_what_leads_nowhere_is_refused(refused: dict[str, Any], code: str, sentence: str) -> None:
    with pytest.raises(ApiError) as error:
        check_async_config(refused)
    assert error.value.code == code
    assert sentence in error.value.message
