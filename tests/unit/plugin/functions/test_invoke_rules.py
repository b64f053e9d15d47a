"""The request of an invocation, and what a function gets of it."""

import base64
import json

import pytest

from stagemaker.functions.invoke_rules import BAD_CONTEXT, client_context, payload_refusal, text_body


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize("payload", [b"not json", b"{", b"'a'", b"NaN", b"\xff", b"{} {}", b"[" * 100_000])
def test_a_payload_must_be_json(payload: bytes) -> None:
    refusal = payload_refusal(payload)
    assert refusal is not None
    assert refusal.startswith("Could not parse request body into json: Could not parse payload into json: ")


@pytest.mark.parametrize("payload", [b"", b"{}", b"null", b'"text"', b"1.5", '["\u00e9"]'.encode(), b" {}\n"])
def test_any_json_is_a_payload(payload: bytes) -> None:
    assert payload_refusal(payload) is None


def test_a_client_context_becomes_one_line_of_ascii() -> None:
    given = {"custom": {"greeting": "h\u00e9\nj"}}
    found = client_context(encoded(json.dumps(given, indent=2, ensure_ascii=False)))
    assert json.loads(found) == given
    assert found.isascii()
    assert found.isprintable()


@pytest.mark.parametrize("given", ["{}", "not base64", encoded("text"), encoded("[]"), encoded(b"\xff")])
def test_another_client_context_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=BAD_CONTEXT):
        client_context(given)


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json", '{"a": "h\u00e9"}', '{"a": "h\u00e9"}'),
        ("Text/Plain; charset=utf-8", "\u72ac", "\u72ac"),
        ("application/problem+xml", "<a/>", "<a/>"),
        ("application/javascript", "1", "1"),
        ("text/plain", b"\xff", None),
        ("image/png", "a", None),
        ("application/x-www-form-urlencoded", "a=1", None),
        ("", "a", None),
    ],
)
def test_a_url_hands_text_as_text(content_type: str, body: str | bytes, text: str | None) -> None:
    assert text_body(content_type, encoded(body)) == text
