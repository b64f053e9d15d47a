"""Signature Version 4 against AWS's published examples and against what botocore signs."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.utils import percent_encode, percent_encode_sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from stagemaker.access.faults import CredentialsRefused, Fault, credentials_error
from stagemaker.access.signature import CHUNKS, CHUNKS_AND_TRAILER, SKEW_S, UNSIGNED_PAYLOAD, Sent, read_claim
from tests.unit.plugin.access.sent import KEY, fed, sent, signed, verify, with_header

S3_TIME_S = datetime(2013, 5, 24, tzinfo=UTC).timestamp()
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
HOST = "https://examplebucket.s3.amazonaws.com"


def s3_example(
    method: str, url: str, headers: dict[str, str], signed_headers: str, signature: str, body: bytes = b""
) -> Sent:
    """One of AWS's, with its date and key."""
    credential = f"Credential={KEY}/20130524/us-east-1/s3/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 {credential},SignedHeaders={signed_headers},Signature={signature}"
    return sent(method, url, {"x-amz-date": "20130524T000000Z", **headers, "Authorization": authorization}, body)


# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
S3_EXAMPLES = {
    "an object": s3_example(
        "GET",
        f"{HOST}/test.txt",
        {"Range": "bytes=0-9", "x-amz-content-sha256": EMPTY},
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "an upload": s3_example(
        "PUT",
        f"{HOST}/test$file.text",
        {
            "Date": "Fri, 24 May 2013 00:00:00 GMT",
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "x-amz-content-sha256": "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        },
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        b"Welcome to Amazon S3.",
    ),
    "a subresource": s3_example(
        "GET",
        f"{HOST}/?lifecycle",
        {"x-amz-content-sha256": EMPTY},
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "a list": s3_example(
        "GET",
        f"{HOST}/?max-keys=2&prefix=J",
        {"x-amz-content-sha256": EMPTY},
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
}
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
PRESIGNED = sent(
    "GET",
    f"{HOST}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={KEY}%2F20130524%2Fus-east-1%2Fs3"
    "%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
    "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    {},
)
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html
STREAMED = s3_example(
    "PUT",
    "https://s3.amazonaws.com/examplebucket/chunkObject.txt",
    {
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": CHUNKS,
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "Content-Length": "66824",
    },
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
    "x-amz-storage-class",
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
)
WITH_TRAILER = s3_example(
    "PUT",
    "https://s3.amazonaws.com/examplebucket/chunkObject.txt",
    {
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": CHUNKS_AND_TRAILER,
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "x-amz-trailer": "x-amz-checksum-crc32c",
    },
    "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;"
    "x-amz-trailer",
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
)


def chunked(*chunks: tuple[int, str], end: bytes = b"\r\n") -> bytes:
    """A body of a's."""
    begin = b"".join(
        f"{size:x};chunk-signature={signature}\r\n".encode() + (b"a" * size + b"\r\n" if size else b"")
        for size, signature in chunks
    )
    return begin + end


STREAMED_BODY = chunked(
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
TRAILER = (
    b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n"
    b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)
BODY_WITH_TRAILER = chunked(
    (65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2"),
    (1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7"),
    (0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"),
    end=TRAILER,
)


@pytest.mark.parametrize("name", S3_EXAMPLES)
def test_s3_s_published_examples_have_the_published_signatures(name: str) -> None:
    assert verify(S3_EXAMPLES[name], S3_TIME_S, service="s3")
    assert not verify(S3_EXAMPLES[name], S3_TIME_S, service="s3", secret="another")


def test_iam_s_published_example_has_the_published_signature() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    credential = "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request"
    signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    request = sent(
        "GET",
        "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
        {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Amz-Date": "20150830T123600Z",
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=content-type;host;x-amz-date, "
            f"Signature={signature}",
        },
    )
    now_s = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    assert verify(request, now_s, service="iam", secret=secret)
    changed = replace(request, query="Action=ListRoles&Version=2010-05-08")
    assert not verify(changed, now_s, service="iam", secret=secret)


def test_s3_s_published_presigned_url_lives_a_day() -> None:
    assert verify(PRESIGNED, S3_TIME_S, service="s3")
    assert verify(PRESIGNED, S3_TIME_S + 86_400, service="s3")
    with pytest.raises(CredentialsRefused) as refused:
        verify(PRESIGNED, S3_TIME_S + 86_401, service="s3")
    error = credentials_error(refused.value, "s3", "rest-xml")
    assert (error.code, error.status, error.message) == ("AccessDenied", 403, "Request has expired")


@pytest.mark.parametrize("piece_bytes", [1000, 7, 65536, 1_000_000])
def test_s3_s_published_chunks_have_the_published_signatures(piece_bytes: int) -> None:
    assert verify(STREAMED, S3_TIME_S, service="s3", body=fed(CHUNKS, STREAMED_BODY, piece_bytes))
    body = fed(CHUNKS_AND_TRAILER, BODY_WITH_TRAILER, piece_bytes)
    assert verify(WITH_TRAILER, S3_TIME_S, service="s3", body=body)
    assert body.size_bytes == 66560


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda body: body.replace(b"a" * 1024 + b"\r\n0", b"a" * 1023 + b"b\r\n0"), Fault.MISMATCH),
        (lambda body: body.replace(b"ad80", b"ad81"), Fault.MISMATCH),
        (lambda body: body.replace(b"b6c6", b"b6c7"), Fault.MISMATCH),
        (
            lambda body: body[: body.index(b"\r\n400;") + 2] + body[body.index(b"0;chunk-signature=b6") :],
            Fault.MISMATCH,
        ),
        (lambda body: body[:-90], Fault.OTHER_CONTENT),
        (lambda body: body + b"more\r\n", Fault.OTHER_CONTENT),
        (lambda body: body.replace(b";chunk-signature=ad", b";other=1;chunk-signature=ad"), Fault.OTHER_CONTENT),
        (lambda body: body.replace(b";chunk-signature=ad", b"; chunk-signature=ad"), Fault.OTHER_CONTENT),
        (lambda body: b"+" + body, Fault.OTHER_CONTENT),
        (lambda body: b"", Fault.OTHER_CONTENT),
    ],
)
def test_chunks_that_were_changed_are_refused(change: Callable[[bytes], bytes], fault: Fault) -> None:
    changed = change(STREAMED_BODY)
    assert changed != STREAMED_BODY
    with pytest.raises(CredentialsRefused) as refused:
        verify(STREAMED, S3_TIME_S, service="s3", body=fed(CHUNKS, changed, 1000))
    assert refused.value.fault is fault


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b"sOO8/Q==", b"sOO8/A==", Fault.MISMATCH),
        (b"d81f", b"d81e", Fault.MISMATCH),
        (b"x-amz-trailer-signature", b"x-amz-other", Fault.OTHER_CONTENT),
    ],
)
def test_a_trailer_that_was_changed_is_refused(old: bytes, new: bytes, fault: Fault) -> None:
    body = fed(CHUNKS_AND_TRAILER, BODY_WITH_TRAILER.replace(old, new), 1000)
    with pytest.raises(CredentialsRefused) as refused:
        verify(WITH_TRAILER, S3_TIME_S, service="s3", body=body)
    assert refused.value.fault is fault


def test_a_small_chunk_may_only_be_the_last() -> None:
    body = fed(CHUNKS, chunked((10, "0" * 64), (9000, "0" * 64), (0, "0" * 64)), 1000)
    with pytest.raises(CredentialsRefused, match="not in chunks"):
        list(body.chunks())


def test_an_endless_line_is_not_kept() -> None:
    body = fed(CHUNKS, b"f" * 10_000_000, 65536)
    with pytest.raises(CredentialsRefused, match="not in chunks"):
        list(body.chunks())


# Characters that clients, servers and the two sides of a signature treat differently.
TEXT = st.text(st.sampled_from("aZ0-_.~ /%+=&?#:;@$,!*'()[]{}|\\^`\"<>éàÅ€😀\t"), max_size=12)
NAMES = st.text(st.sampled_from("aZ-_."), min_size=1, max_size=6)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Paths and queries of odd characters, as botocore's serializers write them."""
    segments = [percent_encode(draw(TEXT), safe="/~") for _ in range(draw(st.integers(0, 3)))]
    pairs = draw(st.lists(st.tuples(NAMES, TEXT), max_size=4))
    query = percent_encode_sequence(pairs)
    return f"http://127.0.0.1:4566/{'/'.join(segments)}{'?' + query if query else ''}"


@settings(max_examples=60, deadline=None)
@given(
    service=st.sampled_from(["s3", "sagemaker", "iam", "lambda", "monitoring"]),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    url=urls(),
    body=st.binary(max_size=40),
    value=TEXT,
    token=st.none() | st.just("FwoGZXIvYXdzE+/="),
    in_query=st.booleans(),
)
def test_what_botocore_signs_is_accepted(
    service: str, method: str, url: str, body: bytes, value: str, token: str | None, in_query: bool
) -> None:
    headers = {"X-Amz-Meta-Note": value.replace("\t", " ").strip(), "Content-Type": "text/plain"}
    if in_query:
        headers, body = {}, b""
    request = signed(service, method, url, body, headers, in_query=in_query, token=token)
    assert verify(request, time.time(), service=service)
    assert not verify(request, time.time(), service=service, secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEy")


def changes(request: Sent) -> dict[str, Sent]:
    """Each is one change of a request that somebody else signed."""
    value = request.value("authorization")
    made = {
        "method": replace(request, method="DELETE"),
        "path": replace(request, path=request.path + "x"),
        "a deeper path": replace(request, path=request.path + "/x"),
        "a parameter more": replace(request, query=request.query + "&x=y"),
        "a parameter less": replace(request, query=request.query.replace("name=value", "")),
        "another host": with_header(request, "host", "example.com"),
        "a header's value": with_header(request, "x-amz-meta-note", "other"),
        "a second value": with_header(request, "x-amz-meta-note", "note", "other"),
        "a header of AWS more": with_header(request, "x-amz-acl", "public-read"),
    }
    if value:
        made |= {
            "another key": with_header(request, "authorization", value.replace("/us-east-1/", "/eu-west-1/")),
            "another date": with_header(
                request, "x-amz-date", datetime.fromtimestamp(time.time() - 60, UTC).strftime("%Y%m%dT%H%M%SZ")
            ),
            "the body": replace(request, sha256="0" * 64),
            "another token": with_header(request, "x-amz-security-token", "other"),
            "no token": replace(
                request, headers={k: v for k, v in request.headers.items() if k != "x-amz-security-token"}
            ),
            "fewer signed headers": with_header(request, "authorization", value.replace("x-amz-meta-note;", "")),
        }
    else:
        made |= {
            "another region": replace(request, query=request.query.replace("us-east-1", "eu-west-1")),
            "a longer life": replace(request, query=request.query.replace("Expires=3600", "Expires=36000")),
            "another token": replace(request, query=request.query.replace("Token=FwoGZ", "Token=other")),
        }
    return made


def is_accepted(request: Sent, service: str) -> bool:
    """Whether nothing at all is wrong."""
    try:
        return verify(request, time.time(), service=service)
    except CredentialsRefused:
        return False


@pytest.mark.parametrize("service", ["s3", "sagemaker"])
@pytest.mark.parametrize("in_query", [False, True])
def test_one_change_of_what_was_signed_is_refused(service: str, in_query: bool) -> None:
    url = "http://127.0.0.1:4566/bucket/a%20key?name=value"
    headers = {"X-Amz-Meta-Note": "note"}
    request = signed(service, "PUT", url, b"", headers, in_query=in_query, token="FwoGZ")
    assert verify(request, time.time(), service=service)
    for name, changed in changes(request).items():
        assert changed != request, name
        assert not is_accepted(changed, service), name
    with pytest.raises(CredentialsRefused) as refused:
        verify(request, time.time(), service="lambda")
    assert refused.value.fault is Fault.WRONG_SCOPE


@pytest.mark.parametrize("service", ["s3", "sagemaker"])
@pytest.mark.parametrize("path", ["/bucket//a", "/bucket/./a", "/bucket/../other/a", "/bucket/a/", "//bucket", "/a/.."])
def test_double_slashes_and_dots_count_as_their_service_counts_them(service: str, path: str) -> None:
    request = signed(service, "GET", f"http://127.0.0.1:4566{path}")
    assert verify(replace(request, path=path), time.time(), service=service)


def test_s3_keeps_double_slashes_and_dots() -> None:
    request = signed("s3", "GET", "http://127.0.0.1:4566/bucket/a/b")
    for other in ("/bucket//a/b", "/bucket/a/./b", "/bucket/x/../a/b", "/bucket/a/b/"):
        assert not verify(replace(request, path=other), time.time(), service="s3")


@pytest.mark.parametrize("value", ["Credential=x", "Credential=a/20130524/r/s3/aws4_request,SignedHeaders=host", ""])
def test_an_incomplete_header_is_refused_by_what_lacks(value: str) -> None:
    request = sent("GET", f"{HOST}/", {"Authorization": f"AWS4-HMAC-SHA256 {value}", "x-amz-date": "20130524T000000Z"})
    with pytest.raises(CredentialsRefused, match=r"Authorization header requires '.*' parameter") as refused:
        read_claim(request)
    assert refused.value.fault is Fault.INCOMPLETE


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Credential=", "Credential=b/20130524/us-east-1/s3/aws4_request,Credential=", Fault.INCOMPLETE),
        ("/aws4_request", "/aws4_request/x", Fault.INCOMPLETE),
        ("/us-east-1/", "/us-east-1//", Fault.INCOMPLETE),
        ("/20130524/", "/20130525/", Fault.WRONG_SCOPE),
        ("SignedHeaders=host;range", "SignedHeaders=range;host", Fault.INCOMPLETE),
        ("SignedHeaders=host;", "SignedHeaders=Host;", Fault.INCOMPLETE),
        ("SignedHeaders=host;", "SignedHeaders=", Fault.UNSIGNED_HEADER),
        (";x-amz-date", "", Fault.UNSIGNED_HEADER),
        ("Signature=f0e8", "Signature=F0E8", Fault.MISMATCH),
        ("Signature=f0e8", "Signature=", Fault.MISMATCH),
        ("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA1 ", Fault.INCOMPLETE),
        ("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 ", Fault.NOT_SUPPORTED),
        ("AWS4-HMAC-SHA256 ", "AWS ", Fault.OTHER_MECHANISM),
        ("AWS4-HMAC-SHA256 ", "Bearer ", Fault.INCOMPLETE),
    ],
)
def test_a_header_of_another_form_is_refused(old: str, new: str, fault: Fault) -> None:
    request = S3_EXAMPLES["an object"]
    value = request.value("authorization")
    assert old in value
    with pytest.raises(CredentialsRefused) as refused:
        verify(with_header(request, "authorization", value.replace(old, new)), S3_TIME_S, service="s3")
    assert refused.value.fault is fault


def test_two_signatures_in_one_request_are_refused() -> None:
    request = S3_EXAMPLES["an object"]
    both = replace(request, query=PRESIGNED.query)
    twice = with_header(request, "authorization", request.value("authorization"), request.value("authorization"))
    old = replace(request, query="AWSAccessKeyId=a&Signature=b&Expires=1")
    for changed in (both, twice, old):
        with pytest.raises(CredentialsRefused) as refused:
            read_claim(changed)
        assert refused.value.fault is Fault.TWO_SIGNATURES


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Expires=86400", "Expires=604801", Fault.INCOMPLETE),
        ("Expires=86400", "Expires=0", Fault.INCOMPLETE),
        ("Expires=86400", "Expires=-1", Fault.INCOMPLETE),
        ("Expires=86400", "Expires=86400&X-Amz-Expires=9", Fault.INCOMPLETE),
        ("&X-Amz-Expires=86400", "", Fault.INCOMPLETE),
        ("&X-Amz-SignedHeaders=host", "", Fault.INCOMPLETE),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", Fault.NOT_SUPPORTED),
        ("Signature=aeee", "Signature=beee", None),
        ("20130524T000000Z", "20130524T000001Z", None),
    ],
)
def test_a_presigned_url_that_was_changed_is_refused(old: str, new: str, fault: Fault | None) -> None:
    changed = replace(PRESIGNED, query=PRESIGNED.query.replace(old, new))
    if fault is None:
        assert not verify(changed, S3_TIME_S, service="s3")
        return
    with pytest.raises(CredentialsRefused) as refused:
        verify(changed, S3_TIME_S, service="s3")
    assert refused.value.fault is fault


def test_a_parameter_of_a_signature_is_found_however_it_is_written() -> None:
    hidden = replace(PRESIGNED, query=PRESIGNED.query.replace("X-Amz-Signature", "%58-Amz-Signature"))
    assert verify(hidden, S3_TIME_S, service="s3")
    nameless = sent("GET", f"{HOST}/?%53ignature=a&%41WSAccessKeyId=b&Expires=1", {})
    with pytest.raises(CredentialsRefused) as refused:
        read_claim(nameless)
    assert refused.value.fault is Fault.OTHER_MECHANISM


@pytest.mark.parametrize("service", ["s3", "iam"])
@pytest.mark.parametrize("late_s", [SKEW_S + 1, -SKEW_S - 1])
def test_a_clock_may_be_fifteen_minutes_wrong(service: str, late_s: int) -> None:
    request = signed(service, "GET", "http://127.0.0.1:4566/")
    claim = read_claim(request)
    assert claim is not None
    assert verify(request, claim.time_s + SKEW_S, service=service)
    assert verify(request, claim.time_s - SKEW_S, service=service)
    with pytest.raises(CredentialsRefused) as refused:
        verify(request, claim.time_s + late_s, service=service)
    error = credentials_error(refused.value, service, "query")
    if service == "s3":
        assert (error.code, error.status) == ("RequestTimeTooSkewed", 403)
    else:
        assert error.code == "SignatureDoesNotMatch"
        assert error.message.startswith("Signature expired: " if late_s > 0 else "Signature not yet current: ")


def test_s3_may_leave_the_body_unsigned_and_others_may_not() -> None:
    request = signed("s3", "PUT", "http://127.0.0.1:4566/bucket/key", b"body", signs_body=False)
    assert request.value("x-amz-content-sha256") == UNSIGNED_PAYLOAD
    assert verify(replace(request, sha256=""), time.time(), service="s3")
    other = signed("sagemaker", "POST", "http://127.0.0.1:4566/", b"body", {"X-Amz-Content-SHA256": UNSIGNED_PAYLOAD})
    with pytest.raises(CredentialsRefused) as refused:
        verify(other, time.time(), service="sagemaker")
    assert refused.value.fault is Fault.OTHER_CONTENT


def test_an_unsigned_request_claims_nothing() -> None:
    assert read_claim(sent("GET", f"{HOST}/?X-Amz-Security-Token=a&x-amz-signature=b", {"x-amz-date": "x"})) is None


# The codes of the protocols: https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html and its like.
CODES = {
    Fault.UNSIGNED: ("AccessDenied", "MissingAuthenticationToken", "MissingAuthenticationTokenException"),
    Fault.UNKNOWN_KEY: ("InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException"),
    Fault.WRONG_TOKEN: ("InvalidToken", "InvalidClientTokenId", "UnrecognizedClientException"),
    Fault.EXPIRED_TOKEN: ("ExpiredToken", "ExpiredToken", "ExpiredTokenException"),
    Fault.MISMATCH: ("SignatureDoesNotMatch", "SignatureDoesNotMatch", "InvalidSignatureException"),
    Fault.INCOMPLETE: ("AuthorizationHeaderMalformed", "IncompleteSignature", "IncompleteSignatureException"),
}


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_code_in_every_protocol(fault: Fault) -> None:
    refused = CredentialsRefused(fault)
    for service, protocol in (("s3", "rest-xml"), ("iam", "query"), ("logs", "json"), ("lambda", "rest-json")):
        assert credentials_error(refused, service, protocol).code
    if codes := CODES.get(fault):
        s3 = credentials_error(refused, "s3", "rest-xml")
        query = credentials_error(refused, "sts", "query")
        json = credentials_error(refused, "sagemaker", "json")
        rest = credentials_error(refused, "lambda", "rest-json")
        assert (s3.code, query.code, json.code, rest.code) == (*codes, codes[2])
        assert (query.status, json.status, rest.status) == (403, 400, 403)
