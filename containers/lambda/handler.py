"""The proxy from the internet to the private endpoint: passes one event to the endpoint and returns its answer.

Four systems that people built by hand differ in their events and answers. SYSTEM chooses one of them, and its keys are
kept letter for letter. ENDPOINT_NAME names the endpoint. Instead of {"url": ...} an event may hold {"s3": ...} or
{"instances": [...]}, which the endpoint accepts as well.

| SYSTEM      | event                                       | answer                                                  |
|-------------|---------------------------------------------|---------------------------------------------------------|
| A           | {"url": ...}                                | {"statusCode": 200, "body": "<the endpoint's answer>"}  |
| B           | {"url": ...}                                | the endpoint's answer, as text                          |
| C           | {"endpoint_name": ..., "request_dict": "{\\"url\\": ...}"} | [56]: the label number of each image     |
| E (default) | {"url": ...}                                | statusCode, headers, type-result, COntent-Type-In, body |

A failure has the same form: A and E hold its status and, as body, the text {"error": "<sentence>"}; B returns that
text, C that object.

A request to the function's URL holds a photo as it is, or such an event as JSON. Whatever SYSTEM is, it is answered by
the five best labels of each photo as JSON, or by a failure's status and object: what a browser page or curl can use.
"""

import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ReadTimeoutError
from botocore.exceptions import ConnectionError as BotoConnectionError

REQUESTS = ("url", "s3", "instances")
JSON, LABELS = "application/json", "application/json;top-k=5"
type Response = dict[str, Any] | list[int] | str

# Made once for each execution environment, and used by every call in it. A call ends within 2 * (2 + 25) s.
CONFIG = Config(connect_timeout=2, read_timeout=25, retries={"total_max_attempts": 2, "mode": "standard"})
CLIENT = boto3.client("sagemaker-runtime", config=CONFIG)


class Failure(Exception):
    """The endpoint could not be called, or refused: an HTTP status and one sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.text = json.dumps({"error": message})


def lambda_handler(event: Any, context: Any) -> Response:
    """Answers every event in the form of SYSTEM, and a request to the function's URL with labels. Raises ValueError
    only for a SYSTEM that does not exist."""
    system = os.environ.get("SYSTEM", "E")
    if system not in RESPONSES:
        raise ValueError(f"SYSTEM must be one of {', '.join(RESPONSES)}, not {system!r}.")
    if _is_request(event):
        return _respond_to_request(event, system)
    try:
        endpoint, request = _read(event, system)
        status, text = 200, _invoke(endpoint, json.dumps(_payload(request)), JSON, JSON)
    except Failure as failure:
        status, text = failure.status, failure.text
    return RESPONSES[system](status, text, context)


def _is_request(event: Any) -> bool:
    """Whether it came by the function's URL: payload format 2.0 of
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html."""
    return isinstance(event, Mapping) and "http" in (event.get("requestContext") or ())


def _respond_to_request(request: Mapping[str, Any], system: str) -> Response:
    try:
        status, text = 200, _invoke(*_read_request(request, system), LABELS)
    except Failure as failure:
        status, text = failure.status, failure.text
    return {"statusCode": status, "headers": {"Content-Type": JSON}, "body": text}


def _read_request(request: Mapping[str, Any], system: str) -> tuple[str, bytes | str, str]:
    """The endpoint, what it is sent, and the type of that."""
    content_type, body = request.get("headers", {}).get("content-type", ""), request.get("body") or ""
    try:
        content = base64.b64decode(body, validate=True) if request.get("isBase64Encoded") else body.encode()
    except binascii.Error:
        raise Failure(400, "The body is not valid base64.") from None
    if content_type.startswith("image/"):
        return os.environ.get("ENDPOINT_NAME", ""), content, content_type
    try:
        event = json.loads(content)
    except ValueError:
        raise Failure(400, "POST a photo with its Content-Type, such as image/jpeg, or an event as JSON.") from None
    endpoint, asked = _read(event, system)
    return endpoint, json.dumps(_payload(asked)), JSON


def _read(event: Any, system: str) -> tuple[str, Any]:
    """The endpoint, and what it is asked."""
    return _read_c(event) if system == "C" else (os.environ.get("ENDPOINT_NAME", ""), event)


def _read_c(event: Any) -> tuple[str, Any]:
    match event:
        case {"endpoint_name": str() as endpoint, "request_dict": str() as request}:
            try:
                return endpoint, json.loads(request)
            except ValueError:
                raise Failure(400, "request_dict is not valid JSON.") from None
    raise Failure(400, "The event must hold endpoint_name and request_dict, both strings.")


def _payload(request: Any) -> dict[str, Any]:
    found = [key for key in REQUESTS if isinstance(request, Mapping) and key in request]
    if len(found) != 1:
        raise Failure(400, f"The event must hold exactly one of {', '.join(REQUESTS)}.")
    return {found[0]: request[found[0]]}


def _invoke(endpoint: str, body: bytes | str, content_type: str, accept: str) -> str:
    """The endpoint's answer as text. Raises Failure with the status that the caller should see."""
    if not endpoint:
        raise Failure(500, "The function has no endpoint: set ENDPOINT_NAME.")
    try:
        answer = CLIENT.invoke_endpoint(EndpointName=endpoint, ContentType=content_type, Accept=accept, Body=body)
        text: str = answer["Body"].read().decode("utf-8")
        return text
    except ClientError as error:
        raise _failure(error) from error
    except ReadTimeoutError as error:
        raise Failure(504, f"Endpoint {endpoint} did not answer in time.") from error
    except (HTTPClientError, BotoConnectionError) as error:
        raise Failure(502, f"Endpoint {endpoint} could not be reached.") from error
    except UnicodeDecodeError as error:
        raise Failure(502, f"Endpoint {endpoint} answered something that is not text.") from error
    except BotoCoreError as error:
        raise Failure(500, f"The endpoint could not be called: {error}") from error


def _failure(error: ClientError) -> Failure:
    """The failure for an AWS error: a ModelError gives the container's status and message, others AWS's own."""
    response: dict[str, Any] = dict(error.response)
    details = response.get("Error", {})
    if details.get("Code") == "ModelError":
        status = int(response.get("OriginalStatusCode", 500)) or 502  # 0: the container gave no answer
        return Failure(status, _sentence(response.get("OriginalMessage", "")))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return Failure(status, f"{details.get('Code', 'Unknown')}: {details.get('Message', '')}")


def _sentence(message: str) -> str:
    """The sentence in a container's {"error": "<sentence>"}; a message in another form is returned unchanged."""
    try:
        value = json.loads(message)
    except ValueError:
        return message
    return str(value["error"]) if isinstance(value, dict) and "error" in value else message


def _respond_a(status: int, text: str, _context: Any) -> Response:
    return {"statusCode": status, "body": text}


def _respond_b(_status: int, text: str, _context: Any) -> Response:
    return text


def _respond_c(status: int, text: str, _context: Any) -> Response:
    if status != 200:
        failure: dict[str, Any] = json.loads(text)
        return failure
    try:
        return [_label(row) for row in json.loads(text)]
    except (ValueError, TypeError):
        return {"error": "The endpoint's answer holds no scores."}


def _label(scores: Any) -> int:
    if not isinstance(scores, list):
        raise TypeError
    return scores.index(max(scores))


def _respond_e(status: int, text: str, context: Any) -> Response:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "text/plain", "Access-Control-Allow-Origin": "*"},
        "type-result": str(type(text)),
        "COntent-Type-In": repr(context),
        "body": text,
    }


RESPONSES: dict[str, Callable[[int, str, Any], Response]] = {
    "A": _respond_a,
    "B": _respond_b,
    "C": _respond_c,
    "E": _respond_e,
}
