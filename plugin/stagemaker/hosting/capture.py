"""Data capture, pure: what an endpoint configuration asks for, and the lines and keys that captured invocations get.

The lines are those of AWS's guide, which Model Monitor and other readers know.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stagemaker.hosting.locations import check_location

MEMBER = "DataCaptureConfig"
INPUT_MODES, OUTPUT_MODES = ("Input", "InputAndOutput"), ("Output", "InputAndOutput")


@dataclass(frozen=True)
class CaptureConfig:
    """A DataCaptureConfig."""

    enabled: bool
    percentage: int  # of the invocations
    destination: str  # s3://bucket/prefix
    kms_key: str  # recorded
    input: bool
    output: bool
    csv_types: frozenset[str]  # content types in lower case
    json_types: frozenset[str]


@dataclass(frozen=True)
class Payload:
    """One side of an invocation."""

    content_type: str | None
    body: bytes


@dataclass(frozen=True)
class Captured:
    """One invocation. A side that is not captured is None."""

    variant: str
    event_id: str
    inference_id: str | None  # as the caller gave it
    at_s: float  # epoch seconds, when the container was sent the request
    input: Payload | None
    output: Payload | None

    @property
    def size_bytes(self) -> int:
        """Of both bodies."""
        return sum(len(payload.body) for payload in (self.input, self.output) if payload)


def capture_config(config: Mapping[str, Any]) -> CaptureConfig | None:
    """Of an endpoint configuration; None when it has no DataCaptureConfig. ValidationException for a destination that
    is not `s3://bucket/prefix`."""
    given = config.get(MEMBER)
    if not given:
        return None
    destination = given["DestinationS3Uri"]
    check_location("DestinationS3Uri", destination)
    modes = {option["CaptureMode"] for option in given["CaptureOptions"]}
    types = given.get("CaptureContentTypeHeader", {})
    return CaptureConfig(
        enabled=given.get("EnableCapture", True),
        percentage=given["InitialSamplingPercentage"],
        destination=destination,
        kms_key=given.get("KmsKeyId", ""),
        input=not modes.isdisjoint(INPUT_MODES),
        output=not modes.isdisjoint(OUTPUT_MODES),
        csv_types=frozenset(each.lower() for each in types.get("CsvContentTypes", ())),
        json_types=frozenset(each.lower() for each in types.get("JsonContentTypes", ())),
    )


def summary(config: CaptureConfig, *, works: bool) -> dict[str, Any]:
    """DescribeEndpoint's DataCaptureConfig. `works` says whether S3 takes what is captured."""
    return {
        "EnableCapture": config.enabled,
        "CaptureStatus": "Started" if config.enabled and works else "Stopped",
        "CurrentSamplingPercentage": config.percentage,
        "DestinationS3Uri": config.destination,
        "KmsKeyId": config.kms_key,
    }


def by_file(config: CaptureConfig, endpoint: str, batch: Iterable[Captured]) -> dict[str, list[Captured]]:
    """The batch, in its order, by the S3 URI of the file that each goes into: one for each variant and hour."""
    files: dict[tuple[str, str], list[Captured]] = {}
    for captured in batch:
        files.setdefault((captured.variant, f"{_moment(captured):%Y/%m/%d/%H}"), []).append(captured)
    return {
        f"{config.destination.rstrip('/')}/{endpoint}/{variant}/{hour}/{_file_name(some[0])}": some
        for (variant, hour), some in files.items()
    }


def lines(config: CaptureConfig, batch: Iterable[Captured]) -> bytes:
    """A file of JSON lines."""
    return b"".join(json.dumps(_event(config, captured), separators=(",", ":")).encode() + b"\n" for captured in batch)


def _event(config: CaptureConfig, captured: Captured) -> dict[str, Any]:
    data = {}
    if captured.input:
        data["endpointInput"] = _payload(config, captured.input, "INPUT")
    if captured.output:
        data["endpointOutput"] = _payload(config, captured.output, "OUTPUT")
    inference_id = {"inferenceId": captured.inference_id} if captured.inference_id is not None else {}
    time = f"{_moment(captured):%Y-%m-%dT%H:%M:%SZ}"
    metadata = {"eventId": captured.event_id, **inference_id, "inferenceTime": time}
    return {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}


def _payload(config: CaptureConfig, payload: Payload, mode: str) -> dict[str, str]:
    observed = {} if payload.content_type is None else {"observedContentType": payload.content_type}
    encoding, data = _encoded(config, payload)
    return {**observed, "mode": mode, "data": data, "encoding": encoding}


def _encoded(config: CaptureConfig, payload: Payload) -> tuple[str, str]:
    """The name of the encoding, and the body in it; parameters of the content type do not count. What is no UTF-8
    cannot be text."""
    kind = (payload.content_type or "").partition(";")[0].strip().lower()
    encoding = "CSV" if kind in config.csv_types else "JSON" if kind in config.json_types else "BASE64"
    if encoding != "BASE64":
        try:
            return encoding, payload.body.decode()
        except UnicodeDecodeError:
            pass
    return "BASE64", base64.b64encode(payload.body).decode()


def _file_name(first: Captured) -> str:
    """Minute, second and millisecond of its first invocation, and an id, as the files that AWS's users report."""
    moment = _moment(first)
    return f"{moment:%M-%S}-{moment.microsecond // 1000:03}-{first.event_id}.jsonl"


def _moment(captured: Captured) -> datetime:
    return datetime.fromtimestamp(captured.at_s, UTC)
