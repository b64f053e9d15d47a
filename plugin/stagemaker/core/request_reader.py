"""What an HTTP client sends, read at a least pace: whoever drips bytes gives up its place in the server."""

import socket
import time
from collections.abc import Callable

_RECEIVE_BYTES = 1 << 16


class RequestReader:
    """Reads `connection` behind `received`, which has come already. Each `pace_bytes` have `pace_s` to come, and so has
    what is left at the end; the time between two reads does not count. TimeoutError for a slower client."""

    def __init__(
        self,
        connection: socket.socket,
        received: bytes,
        pace_bytes: int,
        pace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.unread = bytearray(received)
        self._connection, self._clock = connection, clock
        self._pace_bytes, self._pace_s = pace_bytes, pace_s
        self._came_bytes, self._waited_s = 0, 0.0  # since the last `pace_bytes` were complete

    def readline(self, size: int, /) -> bytes:
        """To the end of the line, at most `size` bytes; less where the client has ended."""
        while (end := self.unread.find(b"\n")) < 0 and len(self.unread) < size:
            if not (piece := self._receive(_RECEIVE_BYTES)):
                break
            self.unread += piece
        return self._take(min(end + 1, size) if end >= 0 else size)

    def read1(self, size: int, /) -> bytes:
        """What is there, at most `size` bytes; it waits for the first. Empty where the client has ended."""
        return self._take(size) if self.unread else self._receive(size)

    def close(self) -> None:
        """Nothing: the connection is the server's."""

    def _take(self, size: int) -> bytes:
        taken = bytes(self.unread[:size])
        del self.unread[:size]
        return taken

    def _receive(self, size: int) -> bytes:
        if self._waited_s >= self._pace_s:
            raise TimeoutError
        timeout_s, started = self._connection.gettimeout(), self._clock()
        self._connection.settimeout(self._pace_s - self._waited_s)
        try:
            piece = self._connection.recv(size)
        finally:
            self._connection.settimeout(timeout_s)
        self._waited_s += self._clock() - started
        self._came_bytes += len(piece)
        if self._came_bytes >= self._pace_bytes:
            self._came_bytes, self._waited_s = 0, 0.0
        return piece
