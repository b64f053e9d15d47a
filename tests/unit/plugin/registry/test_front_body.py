"""Bodies of requests, whole and broken."""

import io
from email.message import Message

import pytest

from stagemaker.registry.front_body import PIECE_BYTES, ClientGone, StreamedBody
from stagemaker.registry.front_route import RequestRefused


def body(data: bytes, *headers: tuple[str, str]) -> StreamedBody:
    message = Message()
    for name, value in headers:
        message[name] = value
    return StreamedBody(io.BufferedReader(io.BytesIO(data)), message, lambda: None)


CHUNKED = ("Transfer-Encoding", "chunked")


def test_a_long_body_comes_in_pieces() -> None:
    data = bytes(range(256)) * 8192
    found = body(data + b"next request", ("Content-Length", str(len(data))))
    pieces = list(found.pieces())
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert found.is_read


def test_chunks_are_read_to_their_end() -> None:
    found = body(b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", CHUNKED)
    assert found.whole(100) == b"abc0123456789"
    assert found.is_read


def test_without_a_length_there_is_no_body() -> None:
    found = body(b"other")
    assert (found.is_read, list(found.pieces())) == (True, [])


def test_the_first_read_says_that_it_waits() -> None:
    said: list[str] = []
    message = Message()
    message["Content-Length"] = "2"
    found = StreamedBody(io.BufferedReader(io.BytesIO(b"ab")), message, lambda: said.append("continue"))
    assert said == []
    assert found.whole(10) == b"ab"
    assert said == ["continue"]


@pytest.mark.parametrize(
    "headers",
    [
        [CHUNKED, ("Content-Length", "3")],
        [("Transfer-Encoding", "gzip, chunked")],
        [CHUNKED, CHUNKED],
        [("Content-Length", "3"), ("Content-Length", "4")],
        [("Content-Length", "-3")],
        [("Content-Length", "3x")],
        [("Content-Length", "9" * 5000)],
        [("Content-Length", "\u0663")],
    ],
)
def test_a_length_that_is_unclear_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(RequestRefused):
        body(b"abc", *headers)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n",
        b"f" * 17 + b"\r\n",
        b"1" * 5000,
        b"0x3\r\nabc\r\n",
    ],
)
def test_broken_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(RequestRefused):
        body(data, CHUNKED).whole(10_000)


def test_a_body_that_ends_too_soon_is_a_client_that_is_gone() -> None:
    with pytest.raises(ClientGone):
        body(b"ab", ("Content-Length", "3")).whole(10)
    with pytest.raises(ClientGone):
        body(b"5\r\nab", CHUNKED).whole(10)


def test_what_is_read_whole_has_a_limit() -> None:
    with pytest.raises(RequestRefused):
        body(b"abcd", ("Content-Length", "4")).whole(3)
