"""Signature Version 4: whether a request is the one that the owner of a secret signed. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html and, for S3,
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html. Everything is read from the request
as it was sent: LocalStack moves parts of a query to the headers, and normalises paths.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from stagemaker.access.faults import CredentialsRefused, Fault

ALGORITHM = "AWS4-HMAC-SHA256"
ASYMMETRIC = "AWS4-ECDSA-P256-SHA256"
NO_4A = f"Stagemaker does not implement Signature Version 4A ({ASYMMETRIC}) yet."
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
CHUNKS_AND_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SKEW_S = 900
MOST_EXPIRES_S = 604_800
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_AUTH_PARAMETERS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")
_EXPIRES, _TOKEN = "X-Amz-Expires", "X-Amz-Security-Token"
_CREDENTIAL = re.compile(r"([^/\s,=]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_NAMES = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+(;[!#$%&'*+.^_`|~0-9a-z-]+)*")
_SPACES = re.compile("[ \t]+")
_HEX = re.compile(r"[0-9a-f]{64}")
_PLAIN = re.compile(r"[A-Za-z0-9/_.~-]*")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_KEPT = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~-")
_QUOTED = tuple(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in range(256))
_QUOTED_PATH = tuple("/" if byte == ord("/") else text for byte, text in enumerate(_QUOTED))


@dataclass(frozen=True)
class Sent:
    """A request as it was sent. `path` and `query` are not decoded, `headers` are by their names in lower case, with
    every value; all bytes stand for themselves (latin-1). `sha256` is of the body, in hex."""

    method: str
    path: str
    query: str
    headers: Mapping[str, tuple[str, ...]]
    sha256: str

    def value(self, name: str) -> str:
        """The first of the header, or nothing."""
        return next(iter(self.headers.get(name, ())), "")


@dataclass(frozen=True)
class Claim:
    """What a request says of its signature. `expires_s` is set for a presigned URL, which lives so long."""

    access_key_id: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    time: str  # as it was sent: 20261127T050000Z
    token: str | None
    in_query: bool
    expires_s: int | None = None

    @property
    def time_s(self) -> float:
        """In epoch seconds."""
        return _epoch_s(self.time)

    @property
    def scope(self) -> str:
        """Of the credential."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def read_claim(sent: Sent) -> Claim | None:
    """None for a request that is not signed. CredentialsRefused for one that is signed half, twice or otherwise."""
    authorizations = sent.headers.get("authorization", ())
    parameters = _parameters(sent.query)
    in_query = [name for name in _AUTH_PARAMETERS if name in parameters]
    old = "Signature" in parameters and "AWSAccessKeyId" in parameters
    if len(authorizations) + bool(in_query) + old > 1:
        raise CredentialsRefused(Fault.TWO_SIGNATURES)
    if old or (authorizations and authorizations[0].startswith("AWS ")):
        raise CredentialsRefused(Fault.OTHER_MECHANISM)  # Signature Version 2
    if in_query:
        return _query_claim(parameters)
    return _header_claim(sent, authorizations[0]) if authorizations else None


def read_credential(credential: str, signature: str, time: str, token: str | None) -> Claim:
    """Of a form, which signs no headers. CredentialsRefused for what cannot be read."""
    return _claim(credential, "host", signature, time, token)


def check_time(claim: Claim, now_s: float, *, is_s3: bool) -> None:
    """CredentialsRefused for a request that was signed at another time than `now_s` (epoch seconds)."""
    signed_s = claim.time_s
    if claim.expires_s is not None:
        if now_s > signed_s + claim.expires_s:
            message = "" if is_s3 else _too_old(claim, now_s, claim.expires_s)
            raise CredentialsRefused(Fault.EXPIRED_URL, message)
        if signed_s > now_s + SKEW_S:
            message = "Request is not yet valid" if is_s3 else _too_new(claim, now_s)
            raise CredentialsRefused(Fault.EXPIRED_URL, message)
    elif now_s > signed_s + SKEW_S:
        raise CredentialsRefused(Fault.TOO_OLD, "" if is_s3 else _too_old(claim, now_s, SKEW_S))
    elif signed_s > now_s + SKEW_S:
        raise CredentialsRefused(Fault.TOO_OLD, "" if is_s3 else _too_new(claim, now_s))


def check_scope(claim: Claim, service: str) -> None:
    """CredentialsRefused when it was signed for another service than `service`, which is the name that it signs by."""
    if claim.service == service:
        return
    message = f"Credential should be scoped to correct service: '{service}'."
    if service == "s3":
        where = (
            "Error parsing the X-Amz-Credential parameter"
            if claim.in_query
            else "The authorization header is malformed"
        )
        message = f'{where}; incorrect service "{claim.service}". This endpoint belongs to "s3".'
    raise CredentialsRefused(Fault.WRONG_SCOPE, message)


def check_headers(claim: Claim, sent: Sent) -> None:
    """CredentialsRefused unless the host and every x-amz- header are signed. A presigned URL may come with a hash of
    its body, as S3 takes it."""
    if "host" not in claim.signed_headers:
        message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization header."
        raise CredentialsRefused(Fault.UNSIGNED_HEADER, message)
    signed = set(claim.signed_headers)
    missing = [name for name in sent.headers if name.startswith("x-amz-") and name not in signed]
    if claim.in_query and "x-amz-content-sha256" in missing:
        missing.remove("x-amz-content-sha256")
    if missing:
        names = ", ".join(sorted(missing))
        raise CredentialsRefused(
            Fault.UNSIGNED_HEADER, f"There were headers present in the request which were not signed: {names}"
        )


def payload_hash(claim: Claim, sent: Sent, *, is_s3: bool, may_be_unsigned: bool = False) -> str:
    """What the signature says of the body: its hash, or one of S3's words for a body that is signed in another way.

    CredentialsRefused when the body has another hash. `may_be_unsigned` for an operation whose body is not signed."""
    if claim.in_query and is_s3 and "x-amz-content-sha256" not in claim.signed_headers:
        return UNSIGNED_PAYLOAD
    said = sent.value("x-amz-content-sha256")
    if is_s3:
        if not said:
            raise CredentialsRefused(Fault.INCOMPLETE, "Missing required header for this request: x-amz-content-sha256")
        if said in (UNSIGNED_PAYLOAD, CHUNKS, CHUNKS_AND_TRAILER, UNSIGNED_CHUNKS):
            return said
        if said.startswith("STREAMING-"):
            raise CredentialsRefused(Fault.NOT_SUPPORTED, f"Stagemaker does not implement {said} yet.")
    elif said == UNSIGNED_PAYLOAD and may_be_unsigned:
        return said
    if said and not hmac.compare_digest(said.encode(), sent.sha256.encode()):
        raise CredentialsRefused(Fault.OTHER_CONTENT)
    return sent.sha256


def string_to_sign(claim: Claim, sent: Sent, payload: str, *, is_s3: bool) -> str:
    """Of the whole request; `payload` as payload_hash has it."""
    headers = "".join(f"{name}:{_joined(sent.headers.get(name, ()))}\n" for name in claim.signed_headers)
    canonical = (
        f"{sent.method}\n{_path(sent.path, is_s3)}\n{_query(sent.query)}\n"
        f"{headers}\n{';'.join(claim.signed_headers)}\n{payload}"
    )
    return f"{ALGORITHM}\n{claim.time}\n{claim.scope}\n{hashlib.sha256(canonical.encode('latin-1')).hexdigest()}"


def is_signed_by(claim: Claim, text: str, secret: str) -> bool:
    """Whether the signature is that of `text`, as string_to_sign makes it, with the secret."""
    expected = sign(claim, text, secret)
    return hmac.compare_digest(expected.encode(), claim.signature.encode())


def sign(claim: Claim, text: str, secret: str) -> str:
    """The signature of a text, in hex, for the claim's date, region and service."""
    key = _signing_key(secret, claim.date, claim.region, claim.service)
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()


def check_chunks(claim: Claim, secret: str, chunks: Iterable[tuple[str, str]], trailer: tuple[str, str] | None) -> None:
    """CredentialsRefused unless each chunk of the body, and the trailer if there is one, has the right signature.

    `chunks` are the SHA-256 and the signature of each, in hex and in order, that of the last, empty chunk included."""
    before, begin = claim.signature, f"{claim.time}\n{claim.scope}"
    for digest, signature in chunks:
        text = f"{ALGORITHM}-PAYLOAD\n{begin}\n{before}\n{EMPTY_SHA256}\n{digest}"
        if not hmac.compare_digest(sign(claim, text, secret), signature):
            raise CredentialsRefused(Fault.MISMATCH)
        before = signature
    if trailer is not None:
        text = f"{ALGORITHM}-TRAILER\n{begin}\n{before}\n{trailer[0]}"
        if not hmac.compare_digest(sign(claim, text, secret), trailer[1]):
            raise CredentialsRefused(Fault.MISMATCH)


@lru_cache(maxsize=1024)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for text in (date, region, service, "aws4_request"):
        key = hmac.digest(key, text.encode(), "sha256")
    return key


def _header_claim(sent: Sent, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm == ASYMMETRIC:
        raise CredentialsRefused(Fault.NOT_SUPPORTED, NO_4A)
    if algorithm != ALGORITHM:
        raise CredentialsRefused(Fault.INCOMPLETE, f"Unsupported AWS 'algorithm': '{algorithm[:64]}'.")
    parts = [tuple(part.strip().partition("=")) for part in rest.split(",")]
    named = {name: value for name, _, value in parts}
    for name in ("Credential", "SignedHeaders", "Signature"):
        if name not in named:
            raise CredentialsRefused(Fault.INCOMPLETE, f"Authorization header requires '{name}' parameter.")
    if len(parts) != 3:
        raise CredentialsRefused(Fault.INCOMPLETE, "Authorization header requires each parameter once.")
    times = sent.headers.get("x-amz-date", ()) or sent.headers.get("date", ())
    if len(times) != 1:
        raise CredentialsRefused(
            Fault.INCOMPLETE, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    tokens = sent.headers.get("x-amz-security-token", ())
    if len(tokens) > 1:
        raise CredentialsRefused(Fault.WRONG_TOKEN)
    return _claim(named["Credential"], named["SignedHeaders"], named["Signature"], times[0], next(iter(tokens), None))


def _query_claim(parameters: Mapping[str, tuple[str, ...]]) -> Claim:
    names = (*_AUTH_PARAMETERS, _EXPIRES, _TOKEN)
    for name in names:
        values = parameters.get(name, ())
        if len(values) > 1 or (not values and name in _AUTH_PARAMETERS):
            raise CredentialsRefused(
                Fault.INCOMPLETE,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
    algorithm, credential, time, signed_headers, signature = (parameters[name][0] for name in _AUTH_PARAMETERS)
    if algorithm == ASYMMETRIC:
        raise CredentialsRefused(Fault.NOT_SUPPORTED, NO_4A)
    if algorithm != ALGORITHM:
        raise CredentialsRefused(Fault.INCOMPLETE, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    return _claim(
        credential,
        signed_headers,
        signature,
        time,
        next(iter(parameters.get(_TOKEN, ())), None),
        in_query=True,
        expires_s=_expires_s(parameters.get(_EXPIRES, ("",))[0]),
    )


def _expires_s(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise CredentialsRefused(Fault.INCOMPLETE, "X-Amz-Expires should be a number")
    if int(text[:20]) > MOST_EXPIRES_S:
        message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less"
        raise CredentialsRefused(Fault.INCOMPLETE, f"{message} than {MOST_EXPIRES_S} seconds")
    if int(text) < 1:
        raise CredentialsRefused(Fault.INCOMPLETE, "X-Amz-Expires must be non-negative")
    return int(text)


def _claim(
    credential: str,
    signed_headers: str,
    signature: str,
    time: str,
    token: str | None,
    *,
    in_query: bool = False,
    expires_s: int | None = None,
) -> Claim:
    found = _CREDENTIAL.fullmatch(credential)
    if found is None:
        raise CredentialsRefused(
            Fault.INCOMPLETE,
            'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    names = tuple(signed_headers.split(";"))
    if not _NAMES.fullmatch(signed_headers) or list(names) != sorted(set(names)):
        raise CredentialsRefused(
            Fault.INCOMPLETE, "The SignedHeaders must be names in lower case, in order, each once."
        )
    if not _HEX.fullmatch(signature):
        raise CredentialsRefused(Fault.MISMATCH)
    time = _iso_time(time)
    access_key_id, date, region, service = found.groups()
    if date != time[:8]:
        message = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        raise CredentialsRefused(Fault.WRONG_SCOPE, f"{message}'{date}' != '{time[:8]}', from '{time}'.")
    return Claim(access_key_id, date, region, service, names, signature, time, token, in_query, expires_s)


def _iso_time(text: str) -> str:
    """A time as it is signed. A Date header may have it as HTTP writes it."""
    try:
        if _TIME.fullmatch(text):
            _epoch_s(text)
            return text
        return datetime.strptime(text, "%a, %d %b %Y %H:%M:%S GMT").strftime("%Y%m%dT%H%M%SZ")
    except ValueError:
        message = "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601"
        raise CredentialsRefused(Fault.INCOMPLETE, message.format(text[:64])) from None


@lru_cache(maxsize=1024)
def _epoch_s(time: str) -> float:
    """Of a time as it is signed, of which the requests of one second have the same. ValueError for none."""
    return datetime.strptime(time, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _too_old(claim: Claim, now_s: float, limit_s: int) -> str:
    bound, now = (_stamp(now_s - limit_s), _stamp(now_s))
    span = f"{limit_s // 60} min." if limit_s % 60 == 0 else f"{limit_s} s."
    return f"Signature expired: {claim.time} is now earlier than {bound} ({now} - {span})"


def _too_new(claim: Claim, now_s: float) -> str:
    bound, now = (_stamp(now_s + SKEW_S), _stamp(now_s))
    return f"Signature not yet current: {claim.time} is still later than {bound} ({now} + {SKEW_S // 60} min.)"


def _stamp(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def _parameters(query: str) -> dict[str, tuple[str, ...]]:
    """Those that may be of a signature, decoded."""
    found: dict[str, tuple[str, ...]] = {}
    if "Signature" not in query and "X-Amz-" not in query and "%" not in query:  # nothing of a signature
        return found
    for name, _, value in query_pairs(query):
        if name.startswith("X-Amz-") or name in ("Signature", "AWSAccessKeyId"):
            found[name] = (*found.get(name, ()), value)
    return found


def query_pairs(query: str) -> list[tuple[str, bool, str]]:
    """Of a query, in its order: each name, whether it has a value, and the value, decoded as latin-1."""
    parts = [part.partition("=") for part in query.replace("+", " ").split("&") if part]
    return [(_text(name), bool(equals), _text(value)) for name, equals, value in parts]


def _text(part: str) -> str:
    return _decoded(part).decode("latin-1")


def _decoded(text: str) -> bytes:
    """The bytes that a part of a URL stands for."""
    raw = text.encode("latin-1")
    return _PERCENT.sub(lambda found: bytes((int(found[1], 16),)), raw) if b"%" in raw else raw


def _joined(values: Sequence[str]) -> str:
    """Of one header, with single spaces. What a server reads has none around it; no other byte counts as a space."""
    return ",".join(_SPACES.sub(" ", value) if "  " in value or "\t" in value else value for value in values)


def _path(path: str, is_s3: bool) -> str:
    """S3 keeps double slashes and dots, and encodes once. Of the others each segment is encoded again as it was sent,
    when dots and double slashes are gone."""
    if is_s3:
        return path if _PLAIN.fullmatch(path) else "".join(map(_QUOTED_PATH.__getitem__, _decoded(path)))
    normal = _without_dots(path)
    return normal if _PLAIN.fullmatch(normal) else "".join(map(_QUOTED_PATH.__getitem__, normal.encode("latin-1")))


def _without_dots(path: str) -> str:
    if "//" not in path and "/." not in path:
        return path or "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{end}"


def _query(query: str) -> str:
    pairs = [(_quoted(name), _quoted(value)) for name, _, value in query_pairs(query) if name != "X-Amz-Signature"]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _quoted(text: str) -> str:
    return "".join(map(_QUOTED.__getitem__, text.encode("latin-1")))
