"""Requests to a serving container that are not whole, or that take as long as the test wants."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.unit.containers.fetch_server import Server, running
from tests.unit.containers.serve_process import GOOD, invoke_json, serving

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
REQUEST = HEAD % len(GOOD) + GOOD
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    """A connection to the client's server."""
    with socket.create_connection((client.base_url.host, client.base_url.port or 0), timeout=30) as connection:
        yield connection


@contextmanager
def half_sent(client: httpx.Client) -> Iterator[http.client.HTTPConnection]:
    """A request of which the server has read all but the last byte."""
    connection = http.client.HTTPConnection(str(client.base_url.host), client.base_url.port, timeout=30)
    connection.putrequest("POST", "/invocations")
    connection.putheader("Content-Type", "image/png")
    connection.putheader("Content-Length", str(len(GOOD)))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    assert connection.sock.recv(100).startswith(b"HTTP/1.1 100")  # the server waits for the body
    connection.send(GOOD[:-1])
    yield connection
    connection.close()


@dataclass(frozen=True)
class SinglePlace:
    """A server with one place in its queue, and the origin that its requests may call."""

    client: httpx.Client
    origin: Server

    @contextmanager
    def occupied(self) -> Iterator[Callable[[], httpx.Response]]:
        """A request holds the place. Gives a function that lets it end, and returns its response."""
        calls = len(self.origin.handler.seen)
        own = httpx.Client(base_url=self.client.base_url, timeout=30, trust_env=False)  # no connection that may be old
        with own, ThreadPoolExecutor(1) as pool:
            held = pool.submit(invoke_json, own, {"url": f"http://127.0.0.1:{self.origin.port}/held"})

            def finish() -> httpx.Response:
                self.origin.stopping.set()
                return held.result(30)

            try:
                deadline = time.monotonic() + 10
                while len(self.origin.handler.seen) == calls:  # a request that has called the origin has its place
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                yield finish
            finally:
                finish()
                self.origin.stopping.clear()


@contextmanager
def single_place(base: Path, limits: Mapping[str, float] | None = None) -> Iterator[SinglePlace]:
    """Runs such a server, and its origin, until the end of the block."""
    with running() as origin:
        environment = {"STAGEMAKER_SERVE_QUEUE": "1", "STAGEMAKER_FETCH_ALLOW": f"127.0.0.1:{origin.port}"}
        with serving(base, limits, **environment) as (client, _process):
            yield SinglePlace(client, origin)


@dataclass(frozen=True)
class Answer:
    """An answer as it came; the names of the headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(connection: socket.socket) -> Answer:
    """The next answer, and not a byte more. Raises ConnectionError when the connection is closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += _received(connection, 1)
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, _received(connection, int(headers["content-length"])))


def _received(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the server closed the connection")
        received += piece
    return received
