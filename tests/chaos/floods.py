"""Many callers at once that do what no good caller does: they open connections and say nothing, or send slowly."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.chaos.load import post

_HEAD = (
    "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: 5000000\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, "
    "Signature=0\r\n\r\n"
)


@dataclass
class Flood:
    """The connections that are open."""

    connections: list[socket.socket] = field(default_factory=list)

    @property
    def opened(self) -> int:
        """How many could be opened."""
        return len(self.connections)

    def open(self, port: int, count: int) -> None:
        """Open that many more, as far as somebody takes them."""
        for _ in range(count):
            with suppress(OSError):
                self.connections.append(socket.create_connection(("127.0.0.1", port), timeout=2))

    def close(self) -> None:
        """Close all of them."""
        for connection in self.connections:
            connection.close()


@contextmanager
def idle(port: int, count: int) -> Iterator[Flood]:
    """Connections that say nothing."""
    flood = Flood()
    try:
        flood.open(port, count)
        yield flood
    finally:
        flood.close()


@contextmanager
def slow_bodies(port: int, path: str, count: int) -> Iterator[Flood]:
    """Requests that say that 5 MB follow, and send 1 KiB of them each second."""
    flood, ended = Flood(), threading.Event()
    flood.open(port, count)
    for connection in flood.connections:
        with suppress(OSError):
            connection.sendall(_HEAD.format(path).encode())

    def drip() -> None:
        while not ended.wait(1.0):
            for connection in flood.connections:
                with suppress(OSError):
                    connection.sendall(bytes(1024))

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield flood
    finally:
        ended.set()
        thread.join()
        flood.close()


def calls(port: int, path: str, callers: int, seconds: float) -> dict[str, int]:
    """So many callers, each of which asks one call after the other; how often each status came, or `closed`. The steady
    load does not count these calls: their bodies are shorter."""
    end_s = time.monotonic() + seconds

    def ask_on(_: int) -> Counter[str]:
        found: Counter[str] = Counter()
        while time.monotonic() < end_s:
            try:
                found[str(post("127.0.0.1", port, "sagemaker", path, b"more")[0])] += 1
            except (OSError, HTTPException):
                found["closed"] += 1
        return found

    with ThreadPoolExecutor(callers) as pool:
        return dict(sorted(sum(pool.map(ask_on, range(callers)), Counter[str]()).items()))


def large_bodies(port: int, path: str, size_bytes: int, count: int) -> dict[str, int]:
    """So many requests at once with bodies of that size; how often each status came, or `closed`."""
    body = b"x" * size_bytes

    def send(_: int) -> str:
        try:
            return str(post("127.0.0.1", port, "sagemaker", path, body)[0])
        except (OSError, HTTPException):
            return "closed"

    with ThreadPoolExecutor(count) as pool:
        return dict(sorted(Counter(pool.map(send, range(count))).items()))
