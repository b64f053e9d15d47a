"""Addresses that are presigned by version 2, as botocore makes them: it is the judge, and knows nothing of ours."""

import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1Auth, HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.signature import Sent
from stagemaker.access.signature_v2 import check_expiry, is_signed_by, read_address, string_to_sign
from tests.unit.plugin.access.sent import KEY, SECRET, sent, with_header

HOST = "http://127.0.0.1:4566"


def presigned(
    url: str = f"{HOST}/bucket/key",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    token: str | None = None,
) -> Sent:
    """A request with the headers that were signed, but for those that stand in the address."""
    request = AWSRequest(method=method, url=url, headers=headers or {})
    HmacV1QueryAuth(Credentials(KEY, SECRET, token), 600).add_auth(request)
    given = {name: value for name, value in (headers or {}).items() if not name.lower().startswith("x-amz-")}
    return sent(method, request.url, given)


def verify(request: Sent, secret: str = SECRET, bucket: str = "") -> bool:
    claim = read_address(request)
    assert claim is not None
    return is_signed_by(claim, string_to_sign(claim, request, bucket), secret)


@pytest.mark.parametrize(
    "request_",
    [
        presigned(),
        presigned(method="PUT", headers={"Content-Type": "image/jpeg", "Content-MD5": "AAAA"}),
        presigned(method="PUT", headers={"x-amz-acl": "private", "x-amz-meta-dog": " Waller "}),
        presigned(token="a/token+with=signs"),
        presigned(f"{HOST}/bucket/a%20b//%C3%A9+~%25"),
        presigned(f"{HOST}/bucket/key?versionId=3&response-content-type=a%2Fb&x=not-signed&acl"),
        presigned(f"{HOST}/bucket/key?response-content-disposition=attachment%3B%20filename%3D%22a%2Bb%22"),
        presigned(f"{HOST}/bucket?uploads"),
    ],
)
def test_what_botocore_presigns_is_taken_and_no_change_of_it(request_: Sent) -> None:
    assert verify(request_)
    assert not verify(request_, "another")
    changes = (
        replace(request_, method="DELETE"),
        replace(request_, path=f"{request_.path}x"),
        replace(request_, query=f"{request_.query}&tagging"),
        replace(request_, query=request_.query.replace("Expires=", "Expires=1")),
        with_header(request_, "content-type", "text/html"),
        with_header(request_, "content-md5", "BBBB"),
        with_header(request_, "x-amz-copy-source", "/secret/key"),
    )
    assert [verify(changed) for changed in changes] == [False] * len(changes)


def test_a_bucket_in_the_host_is_signed_with_the_path() -> None:
    request = AWSRequest(method="GET", url="http://bucket.localhost:4566/key", auth_path="/bucket/key")
    split = urlsplit(request.url)
    signer = HmacV1QueryAuth(Credentials(KEY, SECRET), 600)
    text = signer.get_signature("GET", split, request.headers, auth_path="/bucket/key")
    signer._inject_signature(request, text)  # add_auth of this class forgets auth_path for a plain request
    made = sent("GET", request.url, {})
    assert verify(made, bucket="bucket")
    assert not verify(made, bucket="other")


def test_its_time_is_in_the_address() -> None:
    claim = read_address(presigned())
    assert claim is not None
    now_s = time.time()
    check_expiry(claim, now_s)
    with pytest.raises(CredentialsRefused) as refused:
        check_expiry(claim, now_s + 700)
    assert refused.value.fault is Fault.EXPIRED_URL


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("&AWSAccessKeyId=other", Fault.UNSIGNED),
        ("&Signature=other", Fault.UNSIGNED),
        ("&Expires=99999999999", Fault.UNSIGNED),
        ("&X-Amz-Signature=00", Fault.TWO_SIGNATURES),
        ("&x-amz-security-token=a&x-amz-security-token=b", Fault.UNSIGNED),
    ],
)
def test_a_signature_beside_another_is_refused(more: str, fault: Fault) -> None:
    request = presigned()
    with pytest.raises(CredentialsRefused) as refused:
        read_address(replace(request, query=request.query + more))
    assert refused.value.fault is fault


def test_one_that_lacks_its_time_or_has_a_header_too_is_refused() -> None:
    with pytest.raises(CredentialsRefused) as refused:
        read_address(sent("GET", f"{HOST}/?AWSAccessKeyId=a&Signature=b", {}))
    assert refused.value.fault is Fault.UNSIGNED
    with pytest.raises(CredentialsRefused) as refused:
        read_address(with_header(presigned(), "authorization", "AWS4-HMAC-SHA256 Credential=x"))
    assert refused.value.fault is Fault.TWO_SIGNATURES


def test_other_requests_are_not_of_version_2() -> None:
    assert read_address(sent("GET", f"{HOST}/bucket?Signature=only", {})) is None
    request = AWSRequest(method="GET", url=f"{HOST}/bucket")
    HmacV1Auth(Credentials(KEY, SECRET)).add_auth(request)
    assert read_address(sent("GET", request.url, dict(request.headers.items()))) is None
