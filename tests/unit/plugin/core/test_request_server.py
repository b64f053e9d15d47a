"""A server that idle and slow clients cannot fill, over real connections, with times of its own."""

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from stagemaker.core.request_server import MAX_HEAD_BYTES, Limits, RequestHandler, RequestServer
from stagemaker.core.supervisor import Supervisor

OPEN = threading.Event()  # what the path /wait waits for


class Echo(RequestHandler):
    """Answers with the body, read where it has a length."""

    def do_GET(self) -> None:
        if self.path == "/wait":
            OPEN.wait(10)
        if self.path == "/broken":
            raise ValueError("broken")
        body, left = b"", int(self.headers.get("Content-Length", "0"))
        while left and self.path != "/refused" and (piece := self.rfile.read1(left)):
            body += piece
            left -= len(piece)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if left:
            self.linger()

    do_POST = do_GET

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(**limits: float) -> Iterator[RequestServer]:
    supervisor = Supervisor()
    server = RequestServer(("127.0.0.1", 0), Echo, Limits(**limits))  # type: ignore[arg-type]
    server.start(supervisor, "the server")
    OPEN.clear()
    try:
        yield server
    finally:
        OPEN.set()
        server.close()
        until(lambda: not supervisor.threads())


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def connect(server: RequestServer) -> socket.socket:
    return socket.create_connection(server.server_address, 10)


def said(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection."""
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b""


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def drip(connection: socket.socket) -> None:
    """Send a byte now and then, until the server has ended the connection."""
    for _ in range(1000):
        try:
            connection.sendall(b"x")
        except (ConnectionResetError, BrokenPipeError):
            return
        time.sleep(0.01)


def ask(server: RequestServer, path: str = "/", body: bytes | None = None) -> bytes:
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    try:
        connection.request("GET" if body is None else "POST", path, body)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_a_connection_is_used_again_and_again() -> None:
    with serving() as server:
        connection = http.client.HTTPConnection(*server.server_address, timeout=10)
        for number in range(50):
            connection.request("POST", "/", str(number))
            assert connection.getresponse().read() == str(number).encode()
        connection.close()


def test_requests_that_come_together_are_answered_in_turn() -> None:
    with serving() as server, connect(server) as connection:
        post = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n"
        connection.sendall(post + b"a" + post + b"b" + b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        answers = said(connection)
        assert answers.count(b"HTTP/1.1 200 ") == 3
        assert b"\r\n\r\naHTTP" in answers
        assert b"\r\n\r\nbHTTP" in answers


def test_a_head_may_come_in_parts_and_its_sender_may_end() -> None:
    with serving() as server, connect(server) as connection:
        for part in (b"GET / HT", b"TP/1.1\r", b"\n\r", b"\n"):
            connection.sendall(part)
            time.sleep(0.02)
        connection.shutdown(socket.SHUT_WR)
        assert said(connection).startswith(b"HTTP/1.1 200 ")


def test_idle_connections_hold_no_place() -> None:
    with serving(requests=2, uploads=2, waiting=1024) as server, ExitStack() as many:
        for _ in range(600):
            many.enter_context(connect(server))
        started = time.monotonic()
        assert ask(server) == b""
        assert ask(server, body=b"x") == b"x"
        assert time.monotonic() - started < 5


def test_of_too_many_that_wait_the_oldest_goes_first() -> None:
    with serving(waiting=2) as server, connect(server) as first, connect(server) as second, connect(server) as third:
        assert said(first) == b""
        for connection in (second, third):
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert said(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: "])
def test_a_head_has_a_time(begun: bytes) -> None:
    with serving(head_s=0.2, idle_s=30) as server, connect(server) as connection:
        connection.sendall(begun)
        started = time.monotonic()
        assert said(connection) == b""
        assert 0.1 < time.monotonic() - started < 5


def test_a_head_that_drips_has_the_same_time() -> None:
    with serving(head_s=0.3) as server, connect(server) as connection:
        started = time.monotonic()
        drip(connection)
        assert time.monotonic() - started < 5


def test_between_two_requests_is_a_time() -> None:
    with serving(head_s=30, idle_s=0.3) as server, connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        started = time.monotonic()
        assert said(connection).startswith(b"HTTP/1.1 200 ")
        assert 0.2 < time.monotonic() - started < 5


def test_a_head_that_is_too_long_is_refused() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * MAX_HEAD_BYTES)
        assert connection.recv(1000).startswith(b"HTTP/1.1 431 ")


def test_a_client_that_tries_tls_is_answered_at_once() -> None:
    """Docker tries it first, for registries on this machine too."""
    with serving(head_s=30) as server, connect(server) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        started = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
        assert time.monotonic() - started < 5


def test_slow_bodies_hold_no_place_of_what_has_none() -> None:
    with serving(requests=1, uploads=2, pace_s=3) as server, ExitStack() as many:
        slow = [many.enter_context(connect(server)) for _ in range(5)]
        for connection in slow:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nx")
        started = time.monotonic()
        assert ask(server) == b""
        assert time.monotonic() - started < 2.5
        assert ask(server, body=b"y") == b"y"  # once they have been cut off
        assert [said(connection) for connection in slow] == [b""] * 5


def test_requests_wait_for_a_place_in_turn() -> None:
    with serving(requests=2) as server:
        answers = list[bytes]()
        asking = [threading.Thread(target=lambda: answers.append(ask(server, "/wait"))) for _ in range(8)]
        for each in asking:
            each.start()
        assert ask(server, body=b"x") == b"x"
        assert answers == []
        OPEN.set()
        for each in asking:
            each.join(10)
        assert answers == [b""] * 8


@pytest.mark.parametrize("length", [100_000_000, 1])
def test_a_refused_body_is_thrown_away_for_a_while_without_a_place(length: int) -> None:
    with serving(uploads=1, linger_s=0.5, linger_bytes=1 << 20) as server, connect(server) as connection:
        connection.sendall(f"POST /refused HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert said(connection).startswith(b"HTTP/1.1 200 ")  # the server sends no more, and still takes
        assert ask(server, body=b"x") == b"x"
        started = time.monotonic()
        drip(connection)
        assert time.monotonic() - started < 5


def test_a_mistake_in_a_handler_costs_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    with serving(requests=1) as server:
        with connect(server) as connection:
            connection.sendall(b"GET /broken HTTP/1.1\r\n\r\n")
            assert said(connection) == b""
        assert ask(server) == b""
    assert "ValueError: broken" in caplog.text


def test_many_connections_leave_no_file_descriptor_open() -> None:
    with serving(waiting=64) as server:
        before = descriptors()
        for number in range(3000):
            with connect(server) as connection:
                if number % 3 == 1:
                    connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                elif number % 3 == 2:
                    connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        until(lambda: descriptors() <= before)
        assert ask(server) == b""


def test_the_end_cuts_what_waits_and_what_is_answered() -> None:
    with serving(requests=1) as server:
        idle, served, queued = connect(server), connect(server), connect(server)
        for connection in (served, queued):
            connection.sendall(b"GET /wait HTTP/1.1\r\n\r\n")
        assert ask(server, body=b"x") == b"x"
        server.close()
        for connection in (idle, served, queued):
            with connection:
                assert said(connection) == b""


def test_a_machine_without_more_threads_keeps_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = RequestServer(("127.0.0.1", 0), Echo)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        with pytest.raises(RuntimeError):
            server.start(Supervisor(), "the server")
    with socket.create_server(server.server_address):
        pass


def test_a_moment_without_more_threads_costs_its_connections_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with serving(requests=1) as server:
        with monkeypatch.context() as patched, connect(server) as connection:
            patched.setattr(threading.Thread, "start", full)
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert said(connection) == b""
        assert ask(server) == b""
