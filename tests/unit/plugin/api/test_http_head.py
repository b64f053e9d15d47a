"""The head of a request, and the answer that needs nothing but the head."""

import json

import pytest

from stagemaker.api.http_head import Head, Refusal, make_head, written

REFUSAL = Refusal(403, "AccessDenied", "Not <you>.")


def answer(head: Head) -> tuple[str, dict[str, str], str]:
    """The first line, the headers and the body."""
    lines, _, body = written(head, REFUSAL).decode().partition("\r\n\r\n")
    first, *headers = lines.split("\r\n")
    return first, dict(line.split(": ", 1) for line in headers), body


def test_a_head_has_every_value_of_a_header() -> None:
    head = make_head("PUT", "/a/b?c=d", [("X-One", " 1 "), ("x-one", "2")], "::1")
    assert (head.path, head.query, head.values("x-one"), head.value("x-one")) == ("/a/b", "c=d", ("1", "2"), "1")
    assert (head.values("x-two"), head.value("x-two")) == ((), "")


def test_a_whole_address_is_its_path() -> None:
    assert make_head("GET", "http://localhost:4566/a?b=c", [], "").path == "/a"
    assert make_head("GET", "/", [("x", " \xc3\xa0 ")], "").value("x").encode("latin-1").decode() == "à"
    assert make_head("OPTIONS", "*", [], "").path == "/"


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (make_head("POST", "/", [("X-Amz-Target", "SageMaker.ListModels")], ""), "application/json"),
        (make_head("POST", "/endpoints/a/invocations", [("Content-Type", "text/csv")], ""), "application/json"),
        (make_head("POST", "/2015-03-31/functions", [], ""), "application/json"),
        (
            make_head("POST", "/", [("X-Amz-Target", "A.B"), ("Content-Type", "application/x-amz-json-1.1")], ""),
            "application/x-amz-json-1.1",
        ),
    ],
)
def test_json_is_answered_with_json(head: Head, content_type: str) -> None:
    first, headers, body = answer(head)
    assert first == "HTTP/1.1 403 Forbidden"
    assert (headers["Content-Type"], headers["x-amzn-ErrorType"]) == (content_type, "AccessDenied")
    assert int(headers["Content-Length"]) == len(body)
    assert json.loads(body)["message"] == json.loads(body)["Message"] == "Not <you>."


def test_a_form_is_answered_with_the_error_of_the_query_protocol() -> None:
    _, headers, body = answer(make_head("POST", "/", [("Content-Type", "application/x-www-form-urlencoded")], ""))
    assert headers["Content-Type"] == "text/xml"
    assert body.startswith("<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not &lt;you&gt;")


def test_everything_else_is_answered_as_s3_does() -> None:
    _, headers, body = answer(make_head("PUT", "/data/a", [], ""))
    assert headers["Content-Type"] == "application/xml"
    assert body.endswith("<Error><Code>AccessDenied</Code><Message>Not &lt;you&gt;.</Message></Error>")


def test_head_gets_no_body() -> None:
    assert answer(make_head("HEAD", "/data/a", [], ""))[2] == ""
