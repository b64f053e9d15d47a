"""The Lambda Runtime API over real connections, without a function behind it."""

import base64
import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress

import pytest

from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.exchange import (
    Ended,
    Exchange,
    InitError,
    Invocation,
    InvocationResponse,
    Ready,
    error,
)
from stagemaker.functions.runtime_api import MAX_PAYLOAD_BYTES, RuntimeApi
from stagemaker.runtime.ports import LOOPBACK


def request(
    api: RuntimeApi, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(api.address, timeout=10)
    try:
        connection.request(method, f"/2018-06-01/runtime/{path}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi(LOOPBACK, Exchange(), Supervisor())
    api.admit(LOOPBACK)
    yield api
    api.close()


def test_the_api_takes_one_answer_to_the_right_invocation(api: RuntimeApi) -> None:
    assert request(api, "POST", "invocation/id-1/response", b"1")[0] == 400
    api.exchange.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert request(api, "GET", "invocation/next") == (200, b"event")
    assert request(api, "POST", "invocation/id-2/response", b"1")[0] == 400
    assert request(api, "POST", "invocation/id-1/response", b"1")[0] == 202
    assert request(api, "POST", "invocation/id-1/error", b"2")[0] == 400
    assert [api.exchange.next_event(0) for _ in range(3)] == [Ready(), InvocationResponse(b"1", is_error=False), None]


def test_an_invocation_is_not_lost_to_a_connection_that_has_gone(api: RuntimeApi) -> None:
    with connect(api) as gone:
        gone.sendall(f"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {api.address}\r\n\r\n".encode())
        assert api.exchange.next_event(10) == Ready()
    api.exchange.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert request(api, "GET", "invocation/next") == (200, b"event")
    assert api.exchange.was_taken()


def test_an_invocation_is_taken_once_it_was_given() -> None:
    exchange, invocation = Exchange(), Invocation("id-1", "arn", b"event", "Root=1", 5)
    exchange.offer(invocation)
    assert not exchange.was_taken()
    assert exchange.take() == invocation
    assert exchange.was_taken()
    exchange.put_back(invocation)
    assert not exchange.was_taken()
    exchange.take()
    exchange.offer(invocation)
    assert not exchange.was_taken()


def test_the_api_takes_one_error_of_the_initialisation(api: RuntimeApi) -> None:
    """And none after it: nobody listens between two invocations, and 256 KiB after 256 KiB would pile up."""
    assert [request(api, "POST", "init/error", b"3")[0] for _ in range(3)] == [202, 403, 403]
    assert [api.exchange.next_event(0) for _ in range(2)] == [InitError(b"3"), None]
    initialised = Exchange()
    initialised.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    initialised.take()
    assert not initialised.fail(InitError(b"4"))


def test_the_api_has_few_connections_at_once(api: RuntimeApi) -> None:
    """Each costs LocalStack a thread."""
    before = threading.active_count()
    with ExitStack() as many:
        opened = [many.enter_context(connect(api)) for _ in range(200)]
        assert opened[-1].recv(1) == b""  # by then all are accepted or refused
        assert threading.active_count() - before <= 16
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert request(api, "POST", "init/error", b"1")[0] == 202


def test_strangers_leave_connections_to_the_program() -> None:
    api = RuntimeApi(LOOPBACK, Exchange(), Supervisor())
    api.admit(LOOPBACK)
    host, port = api.address.split(":")
    with ExitStack() as many:
        for _ in range(50):
            stranger = socket.create_connection((host, int(port)), timeout=10, source_address=("127.0.0.2", 0))
            many.enter_context(stranger)
        assert stranger.recv(1) == b""
        assert request(api, "POST", "init/error", b"1")[0] == 202
    api.close()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "nothing"), ("POST", "nothing"), ("POST", "invocation//response")]
)
def test_the_api_refuses_what_it_does_not_know(api: RuntimeApi, method: str, path: str) -> None:
    assert request(api, method, path)[0] in (400, 404)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_the_api_refuses_web_pages(api: RuntimeApi, headers: dict[str, str]) -> None:
    assert request(api, "GET", "invocation/next", headers=headers)[0] == 403
    assert request(api, "POST", "init/error", headers=headers)[0] == 403
    assert api.exchange.next_event(0) is None


def connect(api: RuntimeApi) -> socket.socket:
    host, port = api.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def send(api: RuntimeApi, data: bytes) -> bytes:
    """The answer to what is sent as it is, with the connection's end behind it."""
    with connect(api) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def chunked(api: RuntimeApi, what: str, body: bytes) -> bytes:
    """The first line of the answer."""
    head = f"POST /2018-06-01/runtime/{what} HTTP/1.1\r\nHost: {api.address}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return send(api, head.encode() + body).partition(b"\r\n")[0]


LATE = b"Lambda-Runtime-Function-Error-Type: Late\r\n"
LATE_BODY = b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(b'{"errorType": "Late"}') + b"\r\n"
LIMIT = f"exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)"
TOO_LARGE = f"Response payload size ({MAX_PAYLOAD_BYTES + 1} bytes) {LIMIT}."


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n", InvocationResponse(b"[1,2]", is_error=False)),
        (b"2\r\n[1\r\n0\r\n" + LATE + LATE_BODY + b"\r\n", InvocationResponse(b'{"errorType": "Late"}', is_error=True)),
        (
            b"2\r\n[1\r\n0\r\n" + LATE + b"\r\n",
            InvocationResponse(error("Late", "The function failed while it sent its response."), is_error=True),
        ),
        (
            b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_PAYLOAD_BYTES + 1, b"x" * (MAX_PAYLOAD_BYTES + 1)),
            InvocationResponse(error("Function.ResponseSizeTooLarge", TOO_LARGE), is_error=True),
        ),
    ],
)
def test_the_api_takes_chunks(api: RuntimeApi, body: bytes, answer: InvocationResponse) -> None:
    api.exchange.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert chunked(api, "invocation/id-1/response", body) == b"HTTP/1.1 202 Accepted"
    assert api.exchange.next_event(0) == answer
    assert chunked(api, "init/error", b"2\r\n{}\r\n0\r\n\r\n") == b"HTTP/1.1 202 Accepted"
    assert api.exchange.next_event(0) == InitError(b"{}")


@pytest.mark.parametrize("body", [b"x\r\n", b"-1\r\n", b"1\r\n12\r\n0\r\n\r\n", b"0\r\n" + b"A: b\r\n" * 33])
def test_the_api_takes_no_broken_chunks(api: RuntimeApi, body: bytes) -> None:
    api.exchange.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert chunked(api, "invocation/id-1/response", body) == b"HTTP/1.1 400 Bad Request"
    assert api.exchange.next_event(0) is None


@pytest.mark.parametrize("head", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_that_breaks_off_is_no_answer(api: RuntimeApi, head: str) -> None:
    api.exchange.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    request = f"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: {api.address}\r\n{head}\r\n\r\n"
    assert send(api, request.encode() + b"4\r\n1") == b""
    assert api.exchange.next_event(0) is None


def test_the_api_does_not_wait_for_strangers() -> None:
    api = RuntimeApi(LOOPBACK, Exchange(), Supervisor())
    api.admit("127.0.0.2")
    with connect(api) as silent:
        assert silent.recv(1) == b""
    api.close()


def test_a_closed_api_lets_its_callers_go() -> None:
    api = RuntimeApi(LOOPBACK, Exchange(), Supervisor())
    api.admit(LOOPBACK)
    before = threading.active_count()
    with connect(api) as waiting, connect(api) as silent:
        waiting.sendall(f"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {api.address}\r\n\r\n".encode())
        assert api.exchange.next_event(10) == Ready()
        api.exchange.end()
        api.close()
        assert waiting.recv(1) == b""
        with suppress(ConnectionResetError):  # it was not accepted yet
            assert silent.recv(1) == b""
    assert api.exchange.next_event(0) == Ended()
    deadline = time.monotonic() + 10
    while threading.active_count() > before - 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_api_serves_nobody_but_the_program() -> None:
    api = RuntimeApi(LOOPBACK, Exchange(), Supervisor())
    answers: list[tuple[int, bytes]] = []
    asked = threading.Thread(target=lambda: answers.append(request(api, "GET", "invocation/next")))
    asked.start()
    assert api.exchange.next_event(0.1) is None  # it waits until somebody says where the program runs
    api.admit("127.0.0.2")
    asked.join(10)
    assert [status for status, _ in answers] == [403]
    assert request(api, "POST", "init/error")[0] == 403
    assert api.exchange.next_event(0) is None
    api.close()
