"""The part of the benchmark of updates under load that needs no stack."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.invoke_endpoint import post
from benchmarks.update_under_load import Load, steady


class Handler(BaseHTTPRequestHandler):
    """Answers a POST to /good with its body, and every other POST with 503."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/good" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the original
        pass


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_every_request_is_counted_once(address: tuple[str, int]) -> None:
    load = Load()
    for path in ("/good", "/bad"):
        left = iter(range(5))
        steady(load, address, post(path, b"body"), lambda left=left: next(left, None) is not None)  # type: ignore[misc]
    figures = load.figures()
    assert (figures["requests"], figures["failed"]) == (10, 5)
    assert load.failures == [503] * 5
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]


def test_nobody_who_listens_is_a_failure() -> None:
    load, left = Load(), iter(range(2))
    steady(load, ("127.0.0.1", 1), post("/good", b"body"), lambda: next(left, None) is not None)
    assert load.failures == [0, 0]
