"""Forms that are posted to a bucket."""

import base64
import json
from typing import Any

import pytest

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.post_form import read_form
from stagemaker.access.signature import Claim, sign
from stagemaker.access.signature_v2 import OldClaim

# AWS's example, https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html, has this key and date.
SIGNATURE = "0" * 64
CONDITIONS: list[Any] = [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z"},
    ["content-length-range", 1, 10],
]


def form(*conditions: Any, **fields: str) -> dict[str, str]:
    """A form of the example, with more of each. `_` in a field's name is `-`."""
    policy = {"expiration": "2015-12-30T12:00:00.000Z", "conditions": [*CONDITIONS, *conditions]}
    return {
        "key": "user/user1/a",
        "policy": base64.b64encode(json.dumps(policy).encode()).decode(),
        "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-date": "20151229T000000Z",
        "x-amz-signature": SIGNATURE,
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }


NAMED = {
    "policy": base64.b64encode(
        json.dumps(
            {"conditions": [{"bucket": "b"}, {"key": "user/user1/a"}, {"x-amz-security-token": "token"}]}
        ).encode()
    ).decode()
}


def test_a_form_claims_its_key_and_signs_its_policy() -> None:
    found = read_form(form({"acl": "private"}, acl="private", x_ignore_me="any"))
    assert found is not None
    claim, text = found
    assert isinstance(claim, Claim)
    assert (claim.access_key_id, claim.service, claim.signature) == ("AKIAIOSFODNN7EXAMPLE", "s3", SIGNATURE)
    assert base64.b64decode(text).startswith(b'{"expiration"')


def test_aws_s_published_form_has_the_published_signature() -> None:
    policy = (
        "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJz"
        "aWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJw"
        "dWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6"
        "b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2Uv"
        "Il0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRp"
        "b24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRl"
        "bnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXot"
        "YWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
    )
    found = read_form(form(policy=policy))
    assert found is not None
    claim, text = found
    assert isinstance(claim, Claim)
    signature = sign(claim, text, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    assert signature == "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"


def test_a_form_without_a_policy_is_not_signed() -> None:
    assert read_form({"key": "a"}) is None


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"x_amz_algorithm": "AWS4-HMAC-SHA1"}, Fault.UNSIGNED),
        ({"awsaccesskeyid": "old"}, Fault.UNSIGNED),
        ({"awsaccesskeyid": "old", "signature": "old"}, Fault.UNSIGNED),
        ({"acl": "public-read"}, Fault.UNSIGNED),
        ({"x_amz_meta_a": "1"}, Fault.UNSIGNED),
        ({"x_amz_credential": "AKIA/20151229/us-east-1/s3"}, Fault.INCOMPLETE),
        ({"x_amz_date": "20151230T000000Z"}, Fault.WRONG_SCOPE),
        ({"policy": "bm90IGpzb24="}, Fault.MISMATCH),
        ({"policy": "e30="}, Fault.MISMATCH),
        ({"policy": "\u00e9"}, Fault.MISMATCH),
    ],
)
def test_a_form_that_is_signed_otherwise_is_refused(fields: dict[str, str], fault: Fault) -> None:
    with pytest.raises(CredentialsRefused) as refused:
        read_form(form(**fields))
    assert refused.value.fault is fault


def test_a_form_by_version_2_claims_its_key_and_signs_its_policy() -> None:
    fields = form()
    old = {name: value for name, value in fields.items() if not name.startswith("x-amz-")}
    found = read_form({**old, "awsaccesskeyid": "AKIA", "signature": "c2ln", "x-amz-security-token": "token"} | NAMED)
    assert found == (OldClaim("AKIA", "c2ln", "token"), NAMED["policy"])
    with pytest.raises(CredentialsRefused, match="Extra input fields: acl"):
        read_form({**old, "awsaccesskeyid": "AKIA", "signature": "c2ln", "acl": "private"})
    with pytest.raises(CredentialsRefused):
        read_form({**old, "awsaccesskeyid": "AKIA"})
