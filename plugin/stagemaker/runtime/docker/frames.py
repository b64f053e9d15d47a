"""A container's output without a terminal: the engine sends stdout and stderr in frames of one stream.

https://docs.docker.com/reference/api/engine/version/v1.45/#tag/Container/operation/ContainerAttach
"""

import socket
from collections.abc import Iterator
from contextlib import suppress

_HEADER_BYTES = 8  # the stream, three zeros, the length
_CHUNK_BYTES = 64 * 1024


class Frames:
    """`connection` reads the frames. One thread iterates, any calls `close`. What is not read stays with the engine,
    which lets the program wait with what it writes."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Chunks of stdout (1) and stderr (2)."""
        with suppress(OSError), self._connection.makefile("rb") as reader:
            while len(header := reader.read(_HEADER_BYTES)) == _HEADER_BYTES:
                left = int.from_bytes(header[4:], "big")
                while left and (chunk := reader.read1(min(left, _CHUNK_BYTES))):
                    yield header[0], chunk
                    left -= len(chunk)

    def close(self) -> None:
        """End the iteration. Idempotent."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()
