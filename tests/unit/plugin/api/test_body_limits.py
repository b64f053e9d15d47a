"""How long a body may be, by the head of its request."""

import pytest

from stagemaker.api.body_limits import CODE_BYTES, DOCUMENT_BYTES, INVOCATION_BYTES, OBJECT_BYTES, body_limit
from stagemaker.api.http_head import make_head

SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"
FORM = "multipart/form-data; boundary=x"


def limit(method: str, target: str, signed_for: str = "", host: str = "localhost", **headers: str) -> int:
    """In bytes. The names of `headers` have `_` for `-`."""
    sent = [("Host", host), *((name.replace("_", "-"), value) for name, value in headers.items())]
    if signed_for:
        sent.append(("Authorization", SIGNED.format(signed_for)))
    return body_limit(make_head(method, target, sent, "127.0.0.1")).limit_bytes


@pytest.mark.parametrize(
    ("method", "target", "signed_for"),
    [
        ("POST", "/endpoints/cats/invocations", "sagemaker"),
        ("POST", "/endpoints/cats/invocations-response-stream", "sagemaker"),
        ("POST", "/2015-03-31/functions/cats/invocations?Qualifier=1", "lambda"),
        ("POST", "/2021-11-15/functions/cats/response-streaming-invocations", "lambda"),
    ],
)
def test_an_invocation(method: str, target: str, signed_for: str) -> None:
    assert limit(method, target, signed_for) == INVOCATION_BYTES


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_call_of_a_function_s_address(method: str) -> None:
    assert limit(method, "/data/key", "s3", host="abc.lambda-url.us-east-1.localhost:4566") == INVOCATION_BYTES


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/2015-03-31/functions"),
        ("POST", "/2015-03-31/functions/"),
        ("PUT", "/2015-03-31/functions/cats/code"),
        ("POST", "/2018-10-31/layers/cats/versions"),
    ],
)
def test_the_code_of_a_function(method: str, target: str) -> None:
    assert limit(method, target, "lambda") == CODE_BYTES


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PUT", "/data/a/b?partNumber=1&uploadId=x", {"signed_for": "s3"}),
        ("PUT", "/data/a?x-id=PutObject", {"signed_for": "s3"}),
        ("PUT", "/a", {"signed_for": "s3", "host": "data.s3.localhost"}),
        ("PUT", "/data/a?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", {}),
        ("PUT", "/data/a?AWSAccessKeyId=test&Signature=0&Expires=1", {}),
        ("PUT", "/data/a", {"Authorization": "AWS test:0"}),
        ("POST", "/data", {"Content_Type": FORM}),
        ("POST", "/", {"Content_Type": FORM, "host": "data.s3.localhost"}),
    ],
)
def test_an_object(method: str, target: str, headers: dict[str, str]) -> None:
    assert limit(method, target, **headers) == OBJECT_BYTES


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("POST", "/", {"X_Amz_Target": "SageMaker.CreateModel"}),
        ("PUT", "/data/a", {"signed_for": "s3", "X_Amz_Target": "SageMaker.CreateModel"}),
        ("POST", "/endpoints/a/invocations", {"X_Amz_Target": "SageMaker.CreateModel"}),
        ("POST", "/", {"Content_Type": "application/x-www-form-urlencoded"}),
        ("POST", "/data", {"Content_Type": FORM, "signed_for": "ses"}),
        ("POST", "/_localstack/init", {"Content_Type": FORM}),
        ("PUT", "/data", {"signed_for": "s3"}),
        ("PUT", "/data?policy", {"signed_for": "s3"}),
        ("PUT", "/data/a?acl", {"signed_for": "s3"}),
        ("PUT", "/data/a?tagging=&x-id=PutObjectTagging", {"signed_for": "s3"}),
        ("POST", "/data/a?uploadId=x", {"signed_for": "s3"}),
        ("POST", "/data?delete", {"signed_for": "s3"}),
        ("PUT", "/v20180820/jobs/a", {"signed_for": "s3"}),
        ("PUT", "/applications/a", {"signed_for": "appconfig"}),
        ("PUT", "/restapis/a/b/_user_request_/c", {"signed_for": "s3"}),
        ("PUT", "/_aws/execute-api/a/b", {"signed_for": "s3"}),
        ("PUT", "/data/a", {"signed_for": "s3", "host": "abc.execute-api.localhost"}),
    ],
)
def test_everything_else_is_read_whole(method: str, target: str, headers: dict[str, str]) -> None:
    assert limit(method, target, **headers) == DOCUMENT_BYTES


@pytest.mark.parametrize(
    ("method", "target", "code", "status", "message"),
    [
        ("POST", "/endpoints/a/invocations", "ValidationError", 400, "The body is longer than 6291456 bytes."),
        ("POST", "/endpoints/a/async-invocations", "ValidationError", 400, "The body is longer than 128000 bytes."),
        (
            "POST",
            "/2015-03-31/functions/a/invocations",
            "RequestTooLargeException",
            413,
            "7000000000 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)",
        ),
        (
            "PUT",
            "/2015-03-31/functions/a/code",
            "RequestEntityTooLargeException",
            413,
            "Request must be smaller than 70167211 bytes for the UpdateFunctionCode operation",
        ),
        ("PUT", "/data/a", "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size"),
        ("POST", "/", "RequestEntityTooLargeException", 413, "The request must not be longer than 16777216 bytes."),
    ],
)
def test_what_its_sender_is_told(method: str, target: str, code: str, status: int, message: str) -> None:
    refusal = body_limit(make_head(method, target, [("Host", "localhost")], "127.0.0.1")).refusal(7_000_000_000)
    assert (refusal.code, refusal.status, refusal.message) == (code, status, message)
