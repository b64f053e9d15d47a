"""The body of a request to the Runtime API: of a known length, or in chunks with trailers behind them (RFC 9112, 7.1).

Clients that begin to send before they know the end use chunks, such as Go's runtime client for every answer.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import BinaryIO

_PIECE_BYTES = 64 * 1024
_LINE_BYTES = 384 * 1024  # of a chunk's head or a trailer: an error of 256 KiB fits in base64
_TRAILERS = 32


class BrokenBodyError(Exception):
    """Where the body ends is unclear."""


@dataclass(frozen=True)
class RequestBody:
    """`data` is what was wanted of its `size` in bytes. The names of the trailers are in lower case."""

    data: bytes
    size: int
    trailers: Mapping[str, str] = field(default_factory=dict)


def read_body(source: BinaryIO, headers: Message, limit: int) -> RequestBody:
    """Read all of it, so that the sender hears the answer, and keep the first `limit` bytes. Raises BrokenBodyError;
    ConnectionError when the sender is gone before its end."""
    length, kept, size = _length(headers), bytearray(), 0
    for piece in _chunks(source) if length is None else _exactly(source, length):
        kept += piece[: limit - len(kept)]
        size += len(piece)
    return RequestBody(bytes(kept), size, _trailers(source) if length is None else {})


def _length(headers: Message) -> int | None:
    """None: it comes in chunks."""
    codings, lengths = headers.get_all("Transfer-Encoding", []), headers.get_all("Content-Length", [])
    if codings:
        if lengths or [coding.strip().lower() for coding in codings] != ["chunked"]:
            raise BrokenBodyError
        return None
    if len(lengths) > 1:
        raise BrokenBodyError
    return _number(lengths[0], 10) if lengths else 0


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    while size := _number(_line(source).partition(";")[0].strip(), 16):
        yield from _exactly(source, size)
        if _line(source):
            raise BrokenBodyError


def _trailers(source: BinaryIO) -> dict[str, str]:
    found: dict[str, str] = {}
    for _ in range(_TRAILERS):
        line = _line(source)
        if not line:
            return found
        name, _, value = line.partition(":")
        found[name.lower()] = value.strip()
    raise BrokenBodyError


def _number(digits: str, base: int) -> int:
    if not digits.isalnum() or len(digits) > 16:  # int() takes signs, underscores and blanks too
        raise BrokenBodyError
    try:
        return int(digits, base)
    except ValueError as error:
        raise BrokenBodyError from error


def _exactly(source: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        piece = source.read(min(size, _PIECE_BYTES))
        if not piece:
            raise ConnectionError
        size -= len(piece)
        yield piece


def _line(source: BinaryIO) -> str:
    line = source.readline(_LINE_BYTES)
    if not line:
        raise ConnectionError
    if not line.endswith(b"\n"):
        raise BrokenBodyError
    return line.rstrip(b"\r\n").decode("latin-1")
