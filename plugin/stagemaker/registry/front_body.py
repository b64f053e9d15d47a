"""The body of a request to the front, read piece by piece: gigabytes pass through, and are never held."""

import re
from collections.abc import Callable, Iterator
from email.message import Message
from typing import BinaryIO, Protocol

from stagemaker.registry.front_route import RequestRefused

PIECE_BYTES = 1 << 20
_LINE_LIMIT = 4096  # of a chunk's head or a trailer
_TRAILERS = 32
_LENGTH = re.compile("[0-9]{1,18}")


class ClientGone(Exception):
    """The client ended the connection in the middle of its request."""


class Source(Protocol):
    """What reads a connection. TimeoutError when the client is too slow."""

    def read1(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


class StreamedBody:
    """`length` in bytes, or None for one in chunks. `on_first_read` is called before the first byte is waited for: a
    client may wait for "100 Continue". Raises RequestRefused when the headers contradict each other (RFC 9112, 6.3)."""

    def __init__(self, source: BinaryIO | Source, headers: Message, on_first_read: Callable[[], None]) -> None:
        self._source: Source = source  # type: ignore[assignment]  # a BufferedReader
        self._start: Callable[[], None] | None = on_first_read
        coding, lengths = headers.get_all("Transfer-Encoding", []), headers.get_all("Content-Length", [])
        if coding and (lengths or [item.strip().lower() for item in coding] != ["chunked"]):
            raise RequestRefused(400, "UNSUPPORTED", "The request's length is unclear.")
        if len(lengths) > 1 or not all(_LENGTH.fullmatch(item) for item in lengths):
            raise RequestRefused(400, "UNSUPPORTED", "The request's Content-Length is not a number.")
        self.length: int | None = None if coding else int(lengths[0]) if lengths else 0
        self.is_read = self.length == 0

    def pieces(self) -> Iterator[bytes]:
        """Each at most PIECE_BYTES. Raises ClientGone; RequestRefused when they are broken or slow."""
        if self.is_read:
            return
        if self._start:
            self._start()
            self._start = None
        yield from self._exactly(self.length) if self.length is not None else self._chunks()
        self.is_read = True

    def whole(self, limit_bytes: int) -> bytes:
        """All of it. Raises RequestRefused when it is longer."""
        parts, size = [], 0
        for piece in self.pieces():
            parts.append(piece)
            size += len(piece)
            if size > limit_bytes:
                raise RequestRefused(413, "SIZE_INVALID", f"It must not be longer than {limit_bytes} bytes.")
        return b"".join(parts)

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._exactly(size)
            if self._line():
                raise RequestRefused(400, "UNSUPPORTED", "A chunk of the request is longer than it says.")
        for _ in range(_TRAILERS):
            if not self._line():
                return
        raise RequestRefused(400, "UNSUPPORTED", "The request has too many trailers.")

    def _chunk_size(self) -> int:
        digits = self._line().split(b";")[0].strip()
        if not digits or len(digits) > 16 or digits.strip(b"0123456789abcdefABCDEF"):
            raise RequestRefused(400, "UNSUPPORTED", "A chunk of the request has no size.")
        return int(digits, 16)

    def _line(self) -> bytes:
        line = self._read(lambda: self._source.readline(_LINE_LIMIT))
        if not line.endswith(b"\n"):
            raise RequestRefused(400, "UNSUPPORTED", "A chunk of the request is broken.")
        return line.rstrip(b"\r\n")

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            wanted = min(size, PIECE_BYTES)
            piece = self._read(lambda wanted=wanted: self._source.read1(wanted))  # type: ignore[misc]
            size -= len(piece)
            yield piece

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            piece = read()
        except TimeoutError as error:
            raise RequestRefused(408, "UNKNOWN", "The body of the request comes too slowly.") from error
        except OSError as error:
            raise ClientGone(str(error)) from error
        if not piece:
            raise ClientGone("the connection was closed")
        return piece
