"""What Lambda says about the request of an invocation, and what a function gets of it. Pure."""

import base64
import binascii
import json

from stagemaker.core.strict_json import read_json

BAD_CONTEXT = "Client context must be a valid Base64-encoded JSON object."
_TEXT = ("text", "json", "xml", "javascript")  # in a content type


def payload_refusal(payload: bytes) -> str | None:
    """Why Invoke is an InvalidRequestContentException. An empty payload is an empty object."""
    try:
        if payload:
            read_json(payload)
    except ValueError as error:
        return f"Could not parse request body into json: Could not parse payload into json: {error}"
    return None


def client_context(encoded: str) -> str:
    """The client context of a request, which a function gets as a header: JSON in one line of ASCII. ValueError when it
    is no JSON object in base64."""
    try:
        found = read_json(base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error):
        raise ValueError(BAD_CONTEXT) from None
    if not isinstance(found, dict):
        raise ValueError(BAD_CONTEXT)
    return json.dumps(found)


def text_body(content_type: str, body: str) -> str | None:
    """The body of a function URL's event as text; `body` has it in base64. None when it stays so: of another type, or
    not in UTF-8."""
    if not any(word in content_type.lower() for word in _TEXT):
        return None
    try:
        return base64.b64decode(body).decode()
    except ValueError:
        return None
