"""The hashes of a request's body, taken piece by piece while it comes: a long one is never kept whole, nor read twice.
Pure.

S3 takes a body in chunks, each with its own signature:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html and sigv4-streaming-trailers.html.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Protocol

from stagemaker.access.faults import CredentialsRefused, Fault
from stagemaker.access.signature import CHUNKS, CHUNKS_AND_TRAILER, UNSIGNED_PAYLOAD

LEAST_CHUNK_BYTES = 8192  # but for the last one
MOST_LINE_BYTES = 16_384  # (ours) of the line before a chunk, and of a trailer's
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16});chunk-signature=([0-9a-f]{64})")
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n]*)")
_SIGNATURE = b"x-amz-trailer-signature"


class Body(Protocol):
    """What is known of a body. `feed` gets the pieces, in order; the rest is asked after the last one."""

    def feed(self, data: bytes) -> None:
        """The next piece."""
        ...

    @property
    def sha256(self) -> str:
        """Of the whole body, in hex; empty where nobody signs it."""
        ...


class WholeBody:
    """A body that is signed as a whole."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def feed(self, data: bytes) -> None:
        """The next piece."""
        self._hash.update(data)

    @property
    def sha256(self) -> str:
        """In hex."""
        return self._hash.hexdigest()


class UnsignedBody:
    """A body whose content no signature tells."""

    sha256 = ""

    def feed(self, data: bytes) -> None:
        """Nothing is kept."""


class ChunkedBody:
    """A body in chunks that are signed. Of each, 64 bytes are kept."""

    sha256 = ""

    def __init__(self, *, has_trailer: bool) -> None:
        self._has_trailer = has_trailer
        self._line = bytearray()
        self._left_bytes, self._reads_line, self._expects_blank, self._ended = 0, True, False, False
        self._signature = b""  # of the chunk that is read
        self._hash = hashlib.sha256()
        self._chunks = bytearray()
        self._trailer = bytearray()
        self._trailer_signature = ""
        self._is_wrong, self._is_small = False, False
        self.size_bytes = 0  # of the content

    def feed(self, data: bytes) -> None:
        """The next piece."""
        while data and not self._is_wrong:
            data = self._read_line(data) if self._reads_line else self._read_content(data)

    def chunks(self) -> Iterator[tuple[str, str]]:
        """SHA-256 and signature of each, in hex, the last and empty one too. CredentialsRefused for a body that is not
        of the form, or not complete."""
        if self._is_wrong or not self._ended or self._line or (self._has_trailer and not self._trailer_signature):
            raise CredentialsRefused(Fault.OTHER_CONTENT, "The body is not in chunks as x-amz-content-sha256 says.")
        for start in range(0, len(self._chunks), 64):
            kept = self._chunks[start : start + 64].hex()
            yield kept[:64], kept[64:]

    @property
    def trailer(self) -> tuple[str, str] | None:
        """SHA-256 and signature of the trailer, in hex; None for a body without one."""
        if not self._has_trailer:
            return None
        return hashlib.sha256(self._trailer).hexdigest(), self._trailer_signature

    def _read_content(self, data: bytes) -> bytes:
        """Of a chunk, and the empty line after it."""
        piece, rest = data[: self._left_bytes], data[self._left_bytes :]
        self._hash.update(piece)
        self._left_bytes -= len(piece)
        if self._left_bytes == 0:
            self._chunks += self._hash.digest() + self._signature
            self._reads_line, self._expects_blank = True, True
        return rest

    def _read_line(self, data: bytes) -> bytes:
        end = data.find(b"\n")
        piece, rest = (data, b"") if end < 0 else (data[: end + 1], data[end + 1 :])
        self._line += piece
        if len(self._line) > MOST_LINE_BYTES:
            self._is_wrong = True
        elif self._line.endswith(b"\r\n") or (end >= 0 and self._ended):  # AWS's own example ends a trailer by "\n"
            line, self._line = bytes(self._line).rstrip(b"\r\n"), bytearray()
            self._take_line(line)
        elif end >= 0:
            self._is_wrong = True
        return rest

    def _take_line(self, line: bytes) -> None:
        if self._ended:
            self._take_trailer(line)
        elif self._expects_blank:
            self._expects_blank, self._is_wrong = False, line != b""
        elif (found := _CHUNK.fullmatch(line)) is None:
            self._is_wrong = True
        else:
            self._begin_chunk(int(found[1], 16), bytes.fromhex(found[2].decode()))

    def _begin_chunk(self, size_bytes: int, signature: bytes) -> None:
        self._signature, self._left_bytes = signature, size_bytes
        self._hash = hashlib.sha256()
        self.size_bytes += size_bytes
        if size_bytes and self._is_small:
            self._is_wrong = True
        self._is_small = size_bytes < LEAST_CHUNK_BYTES
        if size_bytes:
            self._reads_line = False
        else:
            self._chunks += self._hash.digest() + signature
            self._ended = True

    def _take_trailer(self, line: bytes) -> None:
        """A line after the last chunk: empty, or a header."""
        found = _TRAILER.fullmatch(line)
        if not line:
            return
        if found is None or not self._has_trailer or self._trailer_signature or len(self._trailer) > MOST_LINE_BYTES:
            self._is_wrong = True
        elif found[1].lower() == _SIGNATURE:
            self._trailer_signature = found[2].strip().decode("latin-1")
        else:
            self._trailer += found[1].lower() + b":" + found[2].strip() + b"\n"


def body_of(content_sha256: str) -> Body:
    """What takes the body of a request with that x-amz-content-sha256."""
    if content_sha256 == UNSIGNED_PAYLOAD:
        return UnsignedBody()
    if content_sha256 in (CHUNKS, CHUNKS_AND_TRAILER):
        return ChunkedBody(has_trailer=content_sha256 == CHUNKS_AND_TRAILER)
    return UnsignedBody() if content_sha256.startswith("STREAMING-") else WholeBody()
