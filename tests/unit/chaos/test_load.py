"""The load against a server of the test's own, and what answers it counts as failures."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.chaos.calls import REFUSED, WRONG_ANSWER, summarize
from tests.chaos.load import Load, Stream, failure_of, post


class Handler(BaseHTTPRequestHandler):
    """Answers with the call's body and its number; every fifth call with ModelError, and every seventh with another's
    body."""

    count = 0
    lock = threading.Lock()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.lock:
            type(self).count += 1
            number = self.count
        self.send_response(424 if number % 5 == 0 else 200)
        if number % 5 == 0:
            self.send_header("x-amzn-errortype", "ModelError")
        answer = {"worker": "a", "position": number, "body": "another" if number % 7 == 0 else body}
        sent = json.dumps(answer).encode()
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the original
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Handler.count = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run(port: int, until: int) -> Load:
    """A load that has ended after at least that many calls."""
    load = Load(f"http://127.0.0.1:{port}", [Stream("endpoint", "sagemaker", "/endpoints/a/invocations", 200.0)])
    load.start()
    end_s = time.monotonic() + 20
    while len(load.calls()) < until:
        assert time.monotonic() < end_s
        time.sleep(0.01)
    load.stop()
    return load


def test_every_call_that_was_sent_is_counted_once(port: int) -> None:
    load = run(port, 35)
    calls = load.calls()
    summary = summarize(calls, load.sent("endpoint", 0, float("inf")))
    assert summary.adds_up
    assert summary.sent == Handler.count
    wrong = sum(number % 7 == 0 and number % 5 != 0 for number in range(1, Handler.count + 1))
    assert summary.failures == {"424 ModelError": Handler.count // 5, WRONG_ANSWER: wrong}
    assert load.open(float("inf")) == 0


def test_a_window_has_the_calls_that_were_due_in_it(port: int) -> None:
    load = run(port, 20)
    due = sorted(call.due_s for call in load.calls())
    assert len(load.calls(due[5], due[9])) == load.sent("endpoint", due[5], due[9]) == 4


def test_a_port_where_nobody_listens_refuses(port: int) -> None:
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    closed.server_close()
    assert {call.failure for call in run(closed.server_port, 3).calls()} == {REFUSED}


def test_an_answer_that_comes_before_the_whole_body_was_sent_is_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        status, _, _ = post("127.0.0.1", server.getsockname()[1], "sagemaker", "/", bytes(50 << 20))
        thread.join()
    assert status == 413


@pytest.mark.parametrize(
    ("status", "headers", "body", "failure"),
    [
        (200, {}, b"anything", ""),
        (200, {"x-amz-function-error": "Unhandled"}, b"{}", "function error Unhandled"),
        (424, {"x-amzn-errortype": "ModelError"}, b"", "424 ModelError"),
        (503, {}, b'{"__type": "com.amazonaws#ServiceUnavailable"}', "503 ServiceUnavailable"),
        (502, {}, b"<html>", "502"),
        (500, {}, b"[1]", "500"),
    ],
)
def test_the_code_of_a_failure(status: int, headers: dict[str, str], body: bytes, failure: str) -> None:
    assert failure_of(status, headers, body) == failure
