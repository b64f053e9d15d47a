"""Signature Version 2 of what is presigned for S3: an address, or a form. Pure.

boto3 presigns so in S3's older regions, such as us-east-1, unless it is told otherwise, and S3 takes it there. Source:
https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html. A request that has such a signature in its
Authorization header is refused: no SDK has made one for years.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.signature import Sent, query_pairs
from stagemaker.core.numbers import whole_number

SESSION = "x-amz-security-token"
_OWN = ("AWSAccessKeyId", "Signature", "Expires")
# Of a query, what is signed with the path: subresources, and what changes an answer's headers.
_SIGNED = {
    "accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging", "metrics",
    "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment", "restore", "select",
    "select-type", "storageClass", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
    "website", "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires",
}  # fmt: skip


@dataclass(frozen=True)
class OldClaim:
    """What is presigned says of its signature, which is in base 64. `expires_s` is in epoch seconds; of a form, whose
    policy has its end, it is None."""

    access_key_id: str
    signature: str
    token: str | None
    expires_s: int | None = None


def read_address(sent: Sent) -> OldClaim | None:
    """None for a request that has no such signature in its query. CredentialsRefused for half a one, and for one beside
    another."""
    query = _query(sent.query)
    if not ("AWSAccessKeyId" in query and "Signature" in query):
        return None
    if sent.headers.get("authorization") or any(name.startswith("X-Amz-") for name in query):
        raise CredentialsRefused(Fault.TWO_SIGNATURES)
    values = [query.get(name, ()) for name in _OWN]
    expires_s = whole_number(values[-1][0]) if values[-1] else None
    if any(len(one) != 1 for one in values) or len(query.get(SESSION, ())) > 1 or expires_s is None:
        message = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise CredentialsRefused(Fault.UNSIGNED, message)
    return OldClaim(values[0][0], values[1][0], next(iter(query.get(SESSION, ())), None), expires_s)


def check_expiry(claim: OldClaim, now_s: float) -> None:
    """CredentialsRefused when its time is over."""
    if claim.expires_s is not None and now_s > claim.expires_s:
        raise CredentialsRefused(Fault.EXPIRED_URL)


def string_to_sign(claim: OldClaim, sent: Sent, bucket: str = "") -> str:
    """Of an address. `bucket` is the one that its host names, if it does."""
    headers = {**_query(sent.query), **sent.headers}  # which may be in either

    def value(name: str, of: Mapping[str, tuple[str, ...]] = headers) -> str:
        return ",".join(one.strip() for one in of.get(name, ()))

    extensions = "".join(f"{name}:{value(name)}\n" for name in sorted(headers) if name.startswith("x-amz-"))
    path = f"/{bucket}{sent.path}" if bucket else sent.path
    parts = "&".join(
        "=".join((name, value) if has_value else (name,))
        for name, has_value, value in sorted(query_pairs(sent.query), key=lambda pair: pair[0])
        if name in _SIGNED
    )
    first = (sent.method, value("content-md5", sent.headers), value("content-type", sent.headers), str(claim.expires_s))
    return "\n".join((*first, f"{extensions}{path}{'?' if parts else ''}{parts}"))


def is_signed_by(claim: OldClaim, text: str, secret: str) -> bool:
    """Whether the signature is that of `text` (latin-1), with the secret."""
    made = base64.b64encode(hmac.digest(secret.encode(), text.encode("latin-1"), "sha1"))
    return hmac.compare_digest(made, claim.signature.encode("latin-1"))


def _query(text: str) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, _, value in query_pairs(text):
        found[name] = (*found.get(name, ()), value)
    return found
