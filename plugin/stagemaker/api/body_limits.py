"""How long the body of a request may be, by its head alone. Pure.

LocalStack reads a body whole before it knows the operation. Only an object of S3 goes to disk piece by piece.
"""

import re
from dataclasses import dataclass

from stagemaker.api.http_head import Head, Refusal

INVOCATION_BYTES = 6 << 20  # botocore's model of InvokeEndpoint; Lambda's quota of an event
ASYNC_BYTES = 128_000  # botocore's model of InvokeEndpointAsync: a longer input lies in S3
CODE_BYTES = 70_167_211  # Lambda's error message says it: 50 MB of a zip file in base64
DOCUMENT_BYTES = 16 << 20  # (ours) no operation of the JSON, query and REST services that LocalStack has needs more
OBJECT_BYTES = 5 << 30  # of PutObject, UploadPart and a form's upload
TOO_LARGE = "RequestEntityTooLargeException"
MAX_WHOLE_BYTES = CODE_BYTES  # what may lie in memory at once of a body, whatever its head says

_ENDPOINT = re.compile("/endpoints/[^/]+/(invocations|async-invocations|invocations-response-stream)")
_LAMBDA = "/20[0-9]{2}-[0-9]{2}-[0-9]{2}"
_FUNCTION = re.compile(f"{_LAMBDA}/functions/[^/]+/(invocations|invoke-async|response-streaming-invocations)/?")
_CODE = {
    ("POST", "CreateFunction"): re.compile(f"{_LAMBDA}/functions/?"),
    ("PUT", "UpdateFunctionCode"): re.compile(f"{_LAMBDA}/functions/[^/]+/code/?"),
    ("POST", "PublishLayerVersion"): re.compile(f"{_LAMBDA}/layers/[^/]+/versions/?"),
}
_NO_OBJECTS = re.compile("/(_localstack|_aws|restapis|v20180820)/")  # LocalStack's own, API Gateway's, S3 Control's
_NO_OBJECT_HOSTS = (".execute-api.", ".s3-website.")
_PART_OF_OBJECT = re.compile("(partNumber|uploadId|x-id|versionId|AWSAccessKeyId|Signature|Expires|[Xx]-[Aa]mz-.*)")


@dataclass(frozen=True)
class BodyLimit:
    """`limit_bytes` of a body, and what AWS says of a longer one; `{size}` in the message is its length."""

    limit_bytes: int
    status: int
    code: str
    message: str

    def refusal(self, size_bytes: int) -> Refusal:
        """Of a body of that length, or of as much of it as has come."""
        return Refusal(self.status, self.code, self.message.replace("{size}", str(size_bytes)))


def body_limit(head: Head) -> BodyLimit:
    """That of the request. A path that fits no operation has the one of documents."""
    host = head.value("host").lower()
    if head.value("x-amz-target"):
        return _whole(DOCUMENT_BYTES)
    if endpoint := _ENDPOINT.fullmatch(head.path):
        limit_bytes = ASYNC_BYTES if endpoint[1] == "async-invocations" else INVOCATION_BYTES
        return BodyLimit(limit_bytes, 400, "ValidationError", f"The body is longer than {limit_bytes} bytes.")
    if _FUNCTION.fullmatch(head.path):
        message = "{size} byte payload is too large for the RequestResponse invocation type"
        return BodyLimit(
            INVOCATION_BYTES, 413, "RequestTooLargeException", f"{message} (limit {INVOCATION_BYTES} bytes)"
        )
    if ".lambda-url." in host:
        return _whole(INVOCATION_BYTES)
    for (method, operation), path in _CODE.items():
        if head.method == method and path.fullmatch(head.path):
            message = f"Request must be smaller than {CODE_BYTES} bytes for the {operation} operation"
            return BodyLimit(CODE_BYTES, 413, TOO_LARGE, message)
    if _is_object(head, host):
        return BodyLimit(OBJECT_BYTES, 400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return _whole(DOCUMENT_BYTES)


def _is_object(head: Head, host: str) -> bool:
    """Whether the body is an object's, or a part's: PUT of a key, or a form that is posted to a bucket."""
    if _NO_OBJECTS.match(head.path) or any(name in host for name in _NO_OBJECT_HOSTS):
        return False
    if head.method == "POST":
        return head.value("content-type").startswith("multipart/form-data") and not head.value("authorization")
    signed = head.value("authorization")
    key = head.path.strip("/") if ".s3." in host else head.path.strip("/").partition("/")[2]
    names = [pair.partition("=")[0] for pair in head.query.split("&") if pair]
    return (
        head.method == "PUT"
        and (not signed or "/s3/aws4_request" in signed or signed.startswith("AWS "))
        and bool(key)
        and all(_PART_OF_OBJECT.fullmatch(name) for name in names)
    )


def _whole(limit_bytes: int) -> BodyLimit:
    return BodyLimit(limit_bytes, 413, TOO_LARGE, f"The request must not be longer than {limit_bytes} bytes.")
