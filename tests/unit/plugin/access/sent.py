"""Requests as botocore signs them, for the tests of signatures: botocore is the judge, and knows nothing of ours."""

import hashlib
from dataclasses import replace
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from stagemaker.access.bodies import ChunkedBody, body_of
from stagemaker.access.signature import (
    Sent,
    check_chunks,
    check_headers,
    check_scope,
    check_time,
    is_signed_by,
    payload_hash,
    read_claim,
    string_to_sign,
)

KEY, SECRET, REGION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"
SIGNERS = {
    ("s3", False): S3SigV4Auth,
    ("s3", True): S3SigV4QueryAuth,
    ("sagemaker", False): SigV4Auth,
    ("sagemaker", True): SigV4QueryAuth,
}


def signed(
    service: str,
    method: str,
    url: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    in_query: bool = False,
    token: str | None = None,
    secret: str = SECRET,
    signs_body: bool = True,
) -> Sent:
    """The request as it would be sent, signed now."""
    signer = SIGNERS["s3" if service == "s3" else "sagemaker", in_query]
    request = AWSRequest(method=method, url=url, data=body, headers=headers or {})
    request.context["signing"] = {}
    request.context["client_config"] = Config(s3={"payload_signing_enabled": signs_body})
    signer(Credentials(KEY, secret, token), service, REGION).add_auth(request)
    prepared = request.prepare()
    return sent(method, prepared.url, dict(prepared.headers.items()), body)


def sent(method: str, url: str, headers: dict[str, str], body: bytes = b"") -> Sent:
    """A request with the header of its host."""
    parts = urlsplit(url)
    named = {"host": (parts.netloc,)}
    for name, value in headers.items():
        text = value if isinstance(value, str) else value.decode("latin-1")
        named[name.lower()] = (text.encode("utf-8").decode("latin-1"),)
    return Sent(method, parts.path or "/", parts.query, named, hashlib.sha256(body).hexdigest())


def with_header(request: Sent, name: str, *values: str) -> Sent:
    """The request with another header."""
    return replace(request, headers={**request.headers, name: values})


def verify(request: Sent, now_s: float, *, service: str, secret: str = SECRET, body: ChunkedBody | None = None) -> bool:
    """As the gateway asks. CredentialsRefused as it raises it; False for a signature that does not match."""
    is_s3 = service == "s3"
    claim = read_claim(request)
    assert claim is not None
    check_scope(claim, service)
    check_headers(claim, request)
    check_time(claim, now_s, is_s3=is_s3)
    payload = payload_hash(claim, request, is_s3=is_s3)
    if not is_signed_by(claim, string_to_sign(claim, request, payload, is_s3=is_s3), secret):
        return False
    if body is not None:
        check_chunks(claim, secret, body.chunks(), body.trailer)
    return True


def fed(content_sha256: str, data: bytes, piece_bytes: int) -> ChunkedBody:
    """What has read the data in pieces."""
    body = body_of(content_sha256)
    assert isinstance(body, ChunkedBody)
    for start in range(0, len(data), piece_bytes):
        body.feed(data[start : start + piece_bytes])
    return body
