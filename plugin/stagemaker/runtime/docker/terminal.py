"""A container's output through a terminal, in which we can ask for a mark: all that was written before it came then.

An engine copies output through several pipes, and an answer over the network overtakes it. A terminal's input is
echoed into its output behind everything that was written (termios(3), ECHO): Control-R, which stores nothing, makes it
echo "^R" and a new line. stdout and stderr keep their order as well, which two pipes do not.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

_ASK = b"\x12"
MARK = b"^R\r\n"
_CHUNK_BYTES = 64 * 1024


class Terminal:
    """`connection` reads and writes it. One thread iterates, any calls `drain` (one at a time) and `close`."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._changed = threading.Condition()
        self._asked = self._passed = 0
        self._ended = False

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """As stdout (1): what was written, without the marks."""
        try:
            yield from ((1, piece) for piece in self._pieces())
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def drain(self, timeout_s: float) -> bool:
        """Wait until the iterating thread has taken all that was written so far; whether it has. Not again when an
        earlier mark has not come: the program changed its terminal."""
        with self._changed:
            if self._asked > self._passed:
                return False
            self._asked += 1
            with suppress(OSError):
                self._connection.sendall(_ASK)
            return self._changed.wait_for(lambda: self._ended or self._passed == self._asked, timeout_s)

    def close(self) -> None:
        """End the iteration. Idempotent."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _pieces(self) -> Iterator[bytes]:
        rest = b""
        while chunk := self._receive():
            rest += chunk
            while self._asked > self._passed and MARK in rest:
                piece, rest = rest.split(MARK, 1)
                yield piece
                with self._changed:
                    self._passed += 1
                    self._changed.notify_all()
            kept = _begun(rest) if self._asked > self._passed else 0
            piece, rest = rest[: len(rest) - kept], rest[len(rest) - kept :]
            yield piece
        yield rest

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_CHUNK_BYTES)
        except OSError:
            return b""


def _begun(data: bytes) -> int:
    """How many bytes at its end may be the beginning of a mark."""
    return next((length for length in range(len(MARK) - 1, 0, -1) if data.endswith(MARK[:length])), 0)
