"""Requests to a serving container that are not whole, or that take as long as the test wants."""

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx

from tests.unit.containers.fetch_server import Server, running
from tests.unit.containers.serve_process import GOOD, TIMEOUT_S, serving, wait_until

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
REQUEST = HEAD % len(GOOD) + GOOD
PING = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
# Of a server that does not end a connection because the machine was busy for a while.
PATIENT = {"head_timeout_s": 300, "body_timeout_s": 300, "idle_timeout_s": 300}


@contextmanager
def connected(client: httpx.Client) -> Iterator[socket.socket]:
    """A connection to the client's server."""
    address = (client.base_url.host, client.base_url.port or 0)
    with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
        yield connection


def send_head(connection: socket.socket, body_bytes: int) -> None:
    """Sends the head of a request, and returns when the server waits for the body."""
    connection.sendall((HEAD % body_bytes).replace(b"Host", b"Expect: 100-continue\r\nHost"))
    assert received(connection, len(CONTINUE)) == CONTINUE


@contextmanager
def half_sent(client: httpx.Client) -> Iterator[http.client.HTTPConnection]:
    """A request of which the server has read all but the last byte."""
    connection = http.client.HTTPConnection(str(client.base_url.host), client.base_url.port, timeout=TIMEOUT_S)
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
class Answer:
    """An answer as it came; the names of the headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class SinglePlace:
    """A server with one place in its queue, and the origin that its requests may call."""

    client: httpx.Client
    origin: Server

    @contextmanager
    def occupied(self) -> Iterator[Callable[[], Answer]]:
        """A request holds the place. Gives a function that lets it end, and returns its answer."""
        calls = len(self.origin.handler.seen)
        body = json.dumps({"url": f"http://127.0.0.1:{self.origin.port}/held"}).encode()
        with connected(self.client) as held:
            held.sendall(HEAD.replace(b"image/png", b"application/json") % len(body) + body)

            @cache
            def finish() -> Answer:
                self.origin.stopping.set()
                return read_answer(held)

            try:
                wait_until(lambda: len(self.origin.handler.seen) > calls)  # a request that called it has its place
                yield finish
            finally:
                finish()
                self.origin.stopping.clear()


@contextmanager
def single_place(base: Path, limits: Mapping[str, float]) -> Iterator[SinglePlace]:
    """Runs such a server, and its origin, until the end of the block."""
    with running() as origin:
        environment = {"STAGEMAKER_SERVE_QUEUE": "1", "STAGEMAKER_FETCH_ALLOW": f"127.0.0.1:{origin.port}"}
        with serving(base, limits, **environment) as (client, _process):
            yield SinglePlace(client, origin)


def read_answer(connection: socket.socket) -> Answer:
    """The next answer, and not a byte more. Raises ConnectionError when the connection is closed."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += received(connection, 1)
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, received(connection, int(headers["content-length"])))


def received(connection: socket.socket, size: int) -> bytes:
    """The next `size` bytes. Raises ConnectionError when the connection is closed."""
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise ConnectionError("the server closed the connection")
        found += piece
    return found


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes the connection before it sends anything."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
