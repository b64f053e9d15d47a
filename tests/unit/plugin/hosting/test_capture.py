"""Data capture's rules: which line an invocation gives, under which key, and how a configuration is read."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.capture import CaptureConfig, Captured, Payload, by_file, capture_config, lines, summary

GIVEN = {
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://bucket/captured/",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
}
TYPES = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
NOON_S = 1_574_683_199.25  # 2019-11-25T11:59:59.25Z


def config(**members: Any) -> CaptureConfig:
    made = capture_config({"DataCaptureConfig": {**GIVEN, **members}})
    assert made
    return made


def captured(**members: Any) -> Captured:
    defaults: dict[str, Any] = {
        "variant": "AllTraffic",
        "event_id": "id-1",
        "inference_id": None,
        "at_s": NOON_S,
        "input": Payload("text/csv", b"1,2\n"),
        "output": Payload("application/json; charset=utf-8", b'{"a": 1}'),
    }
    return Captured(**{**defaults, **members})


def line(config: CaptureConfig, captured: Captured) -> Mapping[str, Any]:
    written = lines(config, [captured])
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    event: dict[str, Any] = json.loads(written)
    return event


def test_a_line_is_as_in_aws_s_guide() -> None:
    assert line(config(CaptureContentTypeHeader=TYPES), captured()) == {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": "1,2\n",
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json; charset=utf-8",
                "mode": "OUTPUT",
                "data": '{"a": 1}',
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"eventId": "id-1", "inferenceTime": "2019-11-25T11:59:59Z"},
        "eventVersion": "0",
    }


def test_the_caller_s_inference_id_is_added() -> None:
    assert line(config(), captured(inference_id="mine"))["eventMetadata"]["inferenceId"] == "mine"


@pytest.mark.parametrize(
    ("types", "payload", "encoding", "data"),
    [
        ({}, Payload("text/csv", b"1,2"), "BASE64", "MSwy"),
        (TYPES, Payload("image/png", b"\x89P"), "BASE64", "iVA="),
        (TYPES, Payload(None, b"1,2"), "BASE64", "MSwy"),
        (TYPES, Payload("Text/CSV; header=present", b"1,2"), "CSV", "1,2"),
        (TYPES, Payload("application/json", b"\xff"), "BASE64", "/w=="),
        ({"JsonContentTypes": ["text/x"]}, Payload("text/x", "ü".encode()), "JSON", "ü"),
    ],
)
def test_the_lists_of_content_types_choose_the_encoding(
    types: Mapping[str, Any], payload: Payload, encoding: str, data: str
) -> None:
    written = line(config(CaptureContentTypeHeader=types), captured(input=payload))["captureData"]["endpointInput"]
    assert (written["encoding"], written["data"]) == (encoding, data)
    assert written.get("observedContentType") == payload.content_type


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["Input"], (True, False)),
        (["Output"], (False, True)),
        (["Input", "Output"], (True, True)),
        (["InputAndOutput"], (True, True)),
    ],
)
def test_the_options_say_which_sides_are_captured(modes: list[str], expected: tuple[bool, bool]) -> None:
    made = config(CaptureOptions=[{"CaptureMode": mode} for mode in modes])
    assert (made.input, made.output) == expected


def test_a_side_that_is_not_captured_is_not_in_the_line() -> None:
    assert list(line(config(), captured(input=None))["captureData"]) == ["endpointOutput"]
    assert list(line(config(), captured(output=None))["captureData"]) == ["endpointInput"]


def test_a_file_holds_one_variant_and_one_hour_of_the_invocations() -> None:
    first, second = captured(), captured(event_id="id-2")
    later, other = captured(event_id="id-3", at_s=NOON_S + 1), captured(event_id="id-4", variant="b")
    assert by_file(config(), "end", [first, later, other, second]) == {
        "s3://bucket/captured/end/AllTraffic/2019/11/25/11/59-59-250-id-1.jsonl": [first, second],
        "s3://bucket/captured/end/AllTraffic/2019/11/25/12/00-00-250-id-3.jsonl": [later],
        "s3://bucket/captured/end/b/2019/11/25/11/59-59-250-id-4.jsonl": [other],
    }


def test_capture_is_enabled_unless_it_is_said_otherwise() -> None:
    assert config().enabled
    assert not config(EnableCapture=False).enabled
    assert capture_config({}) is None


@pytest.mark.parametrize(
    ("members", "works", "status"),
    [({}, True, "Started"), ({}, False, "Stopped"), ({"EnableCapture": False}, False, "Stopped")],
)
def test_the_summary_has_every_member_that_the_model_requires(
    members: dict[str, Any], works: bool, status: str
) -> None:
    assert summary(config(**members), works=works) == {
        "EnableCapture": members.get("EnableCapture", True),
        "CaptureStatus": status,
        "CurrentSamplingPercentage": 20,
        "DestinationS3Uri": "s3://bucket/captured/",
        "KmsKeyId": "",
    }
    assert summary(config(KmsKeyId="key"), works=works)["KmsKeyId"] == "key"


@pytest.mark.parametrize("uri", ["https://bucket/captured", "s3:///captured"])
def test_a_destination_outside_of_s3_is_refused(uri: str) -> None:
    with pytest.raises(ApiError, match="DestinationS3Uri must be given as s3://bucket/prefix") as caught:
        config(DestinationS3Uri=uri)
    assert caught.value.code == "ValidationException"
