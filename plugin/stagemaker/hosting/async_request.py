"""Pure: a request to an asynchronous endpoint from its arrival to what is told of its end."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref
from stagemaker.hosting.async_config import ERROR, SUCCESS, AsyncConfig
from stagemaker.hosting.calls import passed_on

MAX_BODY_BYTES = 128_000  # of the request itself, from botocore's model
MAX_PAYLOAD_BYTES = 1 << 30  # AWS's, of an input in S3 and of an answer
MAX_TOLD_BYTES = 128 << 10  # AWS's, of an answer that a message holds
TTL_S, TIMEOUT_S = 21_600, 900  # AWS's, unless the request says otherwise
TEST_MESSAGE = json.dumps({"eventVersion": "1.0", "eventSource": "aws:sagemaker", "eventName": "TestNotification"})


@dataclass(frozen=True)
class AsyncRequest:
    """What waits for an instance. `queued_s` and `expires_s` are on a clock that passes evenly, `received_s` is in
    epoch seconds."""

    inference_id: str
    config: AsyncConfig  # of its endpoint when it came
    sent: Mapping[str, Any]  # the members of the request
    output_location: str
    failure_location: str | None
    queued_s: float
    received_s: float

    @property
    def body(self) -> bytes:
        """What it brings itself; nothing where its input lies in S3."""
        return self.sent.get("Body") or b""

    @property
    def input_location(self) -> str | None:
        """Where its input lies."""
        return self.sent.get("InputLocation")

    @property
    def expires_s(self) -> float:
        """When it is too late to begin with it."""
        return self.queued_s + float(self.sent.get("RequestTTLSeconds", TTL_S))

    @property
    def timeout_s(self) -> float:
        """How long the container has."""
        return float(self.sent.get("InvocationTimeoutSeconds", TIMEOUT_S))

    @property
    def headers(self) -> dict[str, str]:
        """What the container gets besides the input."""
        return passed_on({**self.sent, "InferenceId": self.inference_id})


@dataclass(frozen=True)
class Outcome:
    """What a request came to. `failure` is AWS's failureReason, empty for an answer; `told` is what a message may hold
    of the container's answer."""

    failure: str = ""
    content_type: str | None = None
    told: bytes | None = None


def plan_async(
    request: Mapping[str, Any],
    config: AsyncConfig,
    *,
    queued_s: float,
    received_s: float,
    new_id: Callable[[], str],
) -> AsyncRequest:
    """ValidationError for a request without an input, with two, or with one that is too long; 501 for an input that is
    not in S3. AWS makes the name of the answer's object independently of the InferenceId."""
    body, location = request.get("Body") or b"", request.get("InputLocation")
    if bool(body) == bool(location):
        raise ApiError("ValidationError", "Give the input either as the Body or as the InputLocation.")
    if len(body) > MAX_BODY_BYTES:
        raise ApiError("ValidationError", f"The body is longer than {MAX_BODY_BYTES} bytes.")
    if location and not location.startswith("s3://"):
        raise not_supported("an InputLocation of the form https://")
    name, inference_id = new_id(), request.get("InferenceId") or new_id()
    folder = request.get("S3OutputPathExtension", "").strip("/")
    output, failure = request.get("Filename", f"{name}.out"), f"{name}-error.out"
    return AsyncRequest(
        inference_id,
        config,
        request,
        _joined(config.output_path, folder, output),
        _joined(config.failure_path, folder, failure) if config.failure_path else None,
        queued_s,
        received_s,
    )


def no_length(container: str) -> str:
    """AWS's sentence about an answer in chunks."""
    return f"The response from container {container} did not specify the required Content-Length header"


def server_error(status: int) -> str:
    """AWS's failureReason for an error of the container."""
    side = "client" if 400 <= status < 500 else "server"
    return (
        f"ClientError: Received {side} error ({status}) from model. "
        "See the SageMaker Endpoint logs in your account for more information."
    )


def message(ref: Ref, request: AsyncRequest, outcome: Outcome, now_s: float) -> dict[str, Any]:
    """What the topic of a success or of a failure is told of a request to the endpoint `ref` that ended at `now_s`."""
    failed = bool(outcome.failure)
    asked = {
        "accept": request.sent.get("Accept"),
        "contentType": request.sent.get("ContentType"),
        "endpointName": ref.name,
        "inputLocation": request.input_location,
    }
    answered = {"contentType": outcome.content_type, "outputLocation": request.output_location}
    told = outcome.told if request.config.includes_response(ERROR if failed else SUCCESS) else None
    return {
        "awsRegion": ref.scope.region,
        "eventTime": _moment(now_s),
        "receivedTime": _moment(request.received_s),
        "invocationStatus": "Failed" if failed else "Completed",
        **({"failureReason": outcome.failure} if failed else {}),
        "requestParameters": _given(asked),
        "responseParameters": _given(answered),
        **({"responseBody": _encoded(told)} if told is not None else {}),
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def log_line(request: AsyncRequest, now_s: float, sentence: str) -> str:
    """A line of an instance's data-log, as AWS has them."""
    moment = _moment(now_s).removesuffix("Z")
    return f"{moment}:[sagemaker logs] [{request.inference_id}] {sentence}"


def _encoded(body: bytes) -> dict[str, str]:
    return {"content": base64.b64encode(body).decode(), "message": "", "encoding": "BASE64"}


def _given(members: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}


def _joined(*parts: str) -> str:
    return "/".join(part.rstrip("/") for part in parts if part)


def _moment(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
