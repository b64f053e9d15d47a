"""What is sent over a real connection, and what an answer means."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.credentials import Credentials

from infra.load import requests
from infra.load.requests import Connection, call_url, invoke_endpoint, invoke_function, outcome


class Server(ThreadingHTTPServer):
    """Answers each request by `answer`, and writes down what it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.ports: set[int] = set()
        self.ended = threading.Event()  # a connection was
        self.answer: Callable[[Handler], None] = lambda handler: handler.reply(200, b"[[1, 2]]")

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        super().shutdown_request(request)
        self.ended.set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        self.server.ports.add(self.client_address[1])
        self.server.answer(self)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def connection(request: requests.Request, timeout_s: float = 60.0) -> Connection:
    return Connection(request, Credentials("key", "secret", "token"), "eu-west-1", timeout_s)


def test_a_photo_is_sent_with_a_signature_over_one_connection(server: Server) -> None:
    one = connection(invoke_endpoint(server.url, "dogs", "image/png", b"photo"))
    assert [one.send(), one.send(), one.send()] == [""] * 3
    one.close()
    path, headers, body = server.got[0]
    assert (path, headers["Content-Type"], body) == ("/endpoints/dogs/invocations", "image/png", b"photo")
    assert "/eu-west-1/sagemaker/aws4_request" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == "token"
    assert len(server.ports) == 1


def test_an_event_is_sent_to_a_function(server: Server) -> None:
    one = connection(invoke_function(server.url, "dogs-proxy", {"url": "https://example.com"}))
    assert one.send() == ""
    one.close()
    path, headers, body = server.got[0]
    assert path == "/2015-03-31/functions/dogs-proxy/invocations"
    assert json.loads(body) == {"url": "https://example.com"}
    assert "/eu-west-1/lambda/aws4_request" in headers["Authorization"]


def test_a_url_below_localhost_is_this_machine_s(server: Server) -> None:
    address = server.url.replace("127.0.0.1", "Id.lambda-url.us-east-1.localhost")
    for signed in (False, True):
        one = connection(call_url(f"{address}/", "image/png", b"photo", signed=signed))
        assert one.send() == ""
        one.close()
    host = address.removeprefix("http://")
    assert [(path, headers["Host"], body) for path, headers, body in server.got] == [("/", host, b"photo")] * 2
    (_, unsigned, _), (_, headers, _) = server.got
    assert "Authorization" not in unsigned
    assert "/eu-west-1/lambda/aws4_request, SignedHeaders=content-type;host;x-amz-date" in headers["Authorization"]


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    assert (
        invoke_endpoint("http://h", "a/../b?c", "image/png", b"").url == "http://h/endpoints/a%2F..%2Fb%3Fc/invocations"
    )


def test_a_connection_that_the_server_ended_is_made_anew(server: Server) -> None:
    def answer_and_close(handler: Handler) -> None:
        handler.close_connection = True  # without a header that says so
        handler.reply(200, b"[]")

    server.answer = answer_and_close
    one = connection(invoke_endpoint(server.url, "dogs", "image/png", b"photo"))
    assert one.send() == ""
    # The end of the connection comes after the answer, and a request into that gap fails with every client.
    assert server.ended.wait(60)
    assert one.send() == ""
    one.close()
    assert len(server.ports) == 2


def test_a_server_that_answers_nothing_is_a_timeout(server: Server) -> None:
    held = threading.Event()
    server.answer = lambda handler: (held.wait(60), None)[1]
    one = connection(invoke_endpoint(server.url, "dogs", "image/png", b"photo"), timeout_s=0.2)
    assert one.send() == requests.TIMEOUT
    held.set()
    one.close()


def test_a_server_that_breaks_off_or_is_not_there_is_a_connection_error(server: Server) -> None:
    server.answer = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    one = connection(invoke_endpoint(server.url, "dogs", "image/png", b"photo"))
    assert one.send() == requests.CONNECTION
    one.close()
    gone = connection(invoke_endpoint("http://127.0.0.1:1", "dogs", "image/png", b"photo"))
    assert gone.send() == requests.CONNECTION


def test_an_endless_answer_is_read_to_its_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_ANSWER_BYTES", 10)
    server.answer = lambda handler: handler.reply(200, b"x" * 100)
    one = connection(invoke_endpoint(server.url, "dogs", "image/png", b"photo"))
    assert [one.send(), one.send()] == ["", ""]
    one.close()
    assert len(server.ports) == 2, "the rest of the first answer is not taken for the second"


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (200, {}, b"[[0.1, 0.9]]", ""),
        (200, {}, b'"[[0.1, 0.9]]"', ""),  # a function's text
        (200, {}, b'{"statusCode": 200, "body": "[[1]]"}', ""),
        (424, {"x-amzn-errortype": "ModelError"}, b"{}", "ModelError"),
        (424, {"x-amzn-errortype": "ModelError:http://internal.amazon.com/coral/"}, b"{}", "ModelError"),
        (503, {}, b'{"__type": "ServiceUnavailable", "message": "m"}', "ServiceUnavailable"),
        (400, {}, b'{"__type": "com.amazonaws.x#ValidationError"}', "ValidationError"),
        (400, {"x-amzn-errortype": "ThrottlingException"}, b"", "Throttled"),
        (429, {"x-amzn-errortype": "TooManyRequestsException"}, b"", "Throttled"),
        (502, {}, b"<html>", "HTTP 502"),
        (500, {}, b"[1]", "HTTP 500"),
        (500, {"x-amzn-errortype": "<b>"}, b"", "HTTP 500"),
        (500, {}, b"[" * 100_000, "HTTP 500"),
        (200, {"x-amz-function-error": "Unhandled"}, b"{}", "FunctionError"),
        (200, {}, b'{"statusCode": 503, "body": "{}"}', "FunctionError"),  # A and E
        (200, {}, b'"{\\"error\\": \\"busy\\"}"', "FunctionError"),  # B
        (200, {}, b'{"error": "busy"}', "FunctionError"),  # C
        (503, {}, b'{"error": "busy"}', "FunctionError"),  # by the function's URL
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], body: bytes, expected: str) -> None:
    assert outcome(status, headers, body) == expected
