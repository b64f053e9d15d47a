"""One server for all tests that do not stop it, and another server, from which it fetches images."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.containers.serve_process import BODY_LIMIT, GOOD, encode, serving, write_model
from tests.unit.containers.serve_requests import PATIENT, SinglePlace, single_place


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ml")
    write_model(folder / "model")
    return folder


class Origin(BaseHTTPRequestHandler):
    """An operator's image store and S3 in one server: GET /red.png, GET /bucket/red.png. A path that ends in
    /coded/<value> answers with this Content-Encoding."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path in ("/red.png", "/bucket/red.png"):
            self.reply(200, encode("red"))
        elif path == "/bucket/large":
            self.reply(200, b"x" * (BODY_LIMIT + 1))
        elif path in ("/bucket/empty", "/empty"):
            self.reply(200, b"")
        elif "/coded/" in path:
            self.reply(200, encode("red"), path.rpartition("/")[2])
        else:
            self.reply(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")

    def reply(self, status: int, body: bytes, coding: str = "") -> None:
        self.send_response(status)
        if coding:
            self.send_header("Content-Encoding", coding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class OriginServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_args: Any) -> None:
        """Ignores that the server under test closed a connection early."""


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    with OriginServer(("127.0.0.1", 0), Origin) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def client(base: Path, origin: str) -> Iterator[httpx.Client]:
    environment = {
        "STAGEMAKER_FETCH_ALLOW": origin,
        "AWS_ENDPOINT_URL": f"http://{origin}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    with serving(base, **environment) as (client, _process):
        yield client


@pytest.fixture(scope="session")
def single(base: Path) -> Iterator[SinglePlace]:
    with single_place(base, PATIENT) as server:
        yield server


@pytest.fixture(scope="session")
def hasty(base: Path) -> Iterator[SinglePlace]:
    """A server that waits 0.2 s for a head, as long for a body, and a second more for each byte of a body."""
    limits = {"head_timeout_s": 0.2, "body_timeout_s": 0.2, "body_bytes_per_s": 1}
    with single_place(base, PATIENT | limits) as server:
        yield server


@pytest.fixture(scope="session")
def impatient(base: Path) -> Iterator[httpx.Client]:
    """A server that waits 0.2 s for a request, and for a client that does not read."""
    with serving(base, PATIENT | {"idle_timeout_s": 0.2}) as (client, _process):
        yield client


@pytest.fixture(scope="session")
def small(base: Path) -> Iterator[httpx.Client]:
    """A server with 3 places in each pool, and with memory for 10 images that are still coming."""
    with serving(base, PATIENT | {"connections": 3, "body_bytes": 10 * len(GOOD)}) as (client, _process):
        yield client
