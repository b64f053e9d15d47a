"""The client against real sockets: good servers, slow ones and rude ones."""

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any

import pytest

from stagemaker.hosting import http_client
from stagemaker.hosting.http_client import HttpClient, NotReached, Refused, TooLarge

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Name: value\r\n\r\nok"


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    connections = 0
    address: tuple[str, int]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._closed = threading.Semaphore(0)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        self._closed.release()

    def wait_until_closed(self) -> None:
        """Until one more connection has been closed."""
        assert self._closed.acquire(timeout=10)


@contextmanager
def server(behave: Callable[[socket.socket, int], None]) -> Iterator[Server]:
    """`behave(connection, number)` plays the server on each connection; it is closed when that returns."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            made.connections += 1
            behave(self.request, made.connections)

    with Server(("127.0.0.1", 0), Handler) as made:
        made.address = ("127.0.0.1", made.server_address[1])
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield made
        finally:
            made.shutdown()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    return data


def polite(connection: socket.socket, number: int) -> None:
    while read_request(connection):
        connection.sendall(OK)


def get(client: HttpClient, timeout_s: float = 10.0, max_bytes: int = 100) -> tuple[int, bytes]:
    reply = client.request("GET", "/", timeout_s=timeout_s, max_bytes=max_bytes)
    return reply.status, reply.body


def test_an_answer_that_is_closed_twice_gives_its_connection_back_once() -> None:
    with server(polite) as there:
        client = HttpClient(there.address)
        answer = client.open("GET", "/", timeout_s=60)
        assert (answer.status, answer.read(), answer.read()) == (200, b"ok", b"")
        answer.close()
        answer.close()
        with client.open("GET", "/", timeout_s=60) as first, client.open("GET", "/", timeout_s=60) as second:
            assert (first.read(), second.read()) == (b"ok", b"ok")
        assert there.connections == 2
        client.close()


def test_one_connection_serves_many_requests() -> None:
    with server(polite) as there:
        client = HttpClient(there.address)
        assert [get(client) for _ in range(5)] == [(200, b"ok")] * 5
        assert client.request("GET", "/", timeout_s=10, max_bytes=2).headers["x-name"] == "value"
        assert there.connections == 1
        client.close()


def test_a_connection_that_was_closed_while_idle_is_replaced() -> None:
    def once(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK)

    with server(once) as there:
        client = HttpClient(there.address)
        answers = []
        for _ in range(3):
            answers.append(get(client))
            there.wait_until_closed()  # one that is closed while we write is not replaced
        assert answers == [(200, b"ok")] * 3
        assert there.connections == 3
        client.close()


@pytest.mark.parametrize("length", [b"Content-Length: 2\r\n", b""])
def test_a_server_that_closes_after_each_answer(length: bytes) -> None:
    def old(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n" + length + b"\r\nok")

    with server(old) as there:
        client = HttpClient(there.address)
        assert [get(client) for _ in range(3)] == [(200, b"ok")] * 3
        client.close()


def test_an_address_that_leads_nowhere() -> None:
    with pytest.raises(NotReached):
        get(HttpClient(("255.255.255.255", 80)))


def test_a_server_that_takes_no_connection_is_waited_for_until_the_client_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_S", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as busy,
        socket.create_connection(busy.getsockname()),  # all that the backlog takes
    ):
        client = HttpClient(busy.getsockname())
        with pytest.raises(TimeoutError):
            get(client, timeout_s=0.2)
        closing = threading.Timer(0.2, client.close)
        closing.start()
        with pytest.raises(NotReached):
            get(client)
        closing.join()


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotReached):
            get(HttpClient(("127.0.0.1", unused.getsockname()[1])))


def test_a_request_that_kills_the_server_is_not_called_unreached() -> None:
    done = threading.Event()

    def holds(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(OK)
        done.wait(10)  # it must not close first: that would be a connection closed as idle

    with server(holds) as there:
        client = HttpClient(there.address)
        get(client)
        reused = client._idle[0]
        there.socket.close()  # nobody listens any more
        reused.sock.shutdown(socket.SHUT_WR)  # what follows on this connection fails
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            get(client)
        done.set()
        client.close()


def test_a_request_is_never_sent_twice() -> None:
    got = list[int]()

    def breaks_off(connection: socket.socket, number: int) -> None:
        while read_request(connection):
            got.append(number)
            if len(got) == 2:  # over the connection that was kept
                return
            connection.sendall(OK)

    with server(breaks_off) as there:
        client = HttpClient(there.address)
        assert get(client) == (200, b"ok")
        with pytest.raises(ConnectionResetError):
            get(client)
        assert got == [1, 1]
        assert get(client) == (200, b"ok")
        client.close()


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with server(polite) as there:
        client = HttpClient(there.address)
        get(client)
        monkeypatch.setattr(http_client, "MAX_IDLE_S", 0.0)
        get(client)
        assert there.connections == 2
        client.close()


def test_the_caller_is_told_when_the_request_may_have_arrived() -> None:
    told = list[str]()
    with server(polite) as there:
        client = HttpClient(there.address)
        for _ in range(2):
            client.request("GET", "/", timeout_s=10, max_bytes=2, on_sending=lambda: told.append("sending"))
        assert told == ["sending"] * 2
        client.close()
    client = HttpClient(there.address)
    with pytest.raises(Refused):
        client.request("GET", "/", timeout_s=10, max_bytes=2, on_sending=lambda: told.append("never"))
    assert told == ["sending"] * 2


def test_a_server_that_takes_no_connection_may_be_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "CONNECT_S", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as busy,
        socket.create_connection(busy.getsockname()),  # all that the backlog takes
    ):
        client = HttpClient(busy.getsockname())
        with pytest.raises(NotReached) as error:
            client.request("GET", "/", timeout_s=10, max_bytes=2, connect_s=0.1)
        assert not isinstance(error.value, Refused)
        with pytest.raises(TimeoutError):
            client.request("GET", "/", timeout_s=0.1, max_bytes=2, connect_s=10)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionResetError),
        (b"hello\r\n\r\n", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", HTTPException),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", HTTPException),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101, TooLarge),
    ],
)
def test_answers_that_are_none(answer: bytes, error: type[Exception]) -> None:
    def rude(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with server(rude) as there, pytest.raises(error):
        get(HttpClient(there.address))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
def test_answers_in_other_framings(answer: bytes) -> None:
    def framed(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(answer)

    with server(framed) as there:
        client = HttpClient(there.address)
        first = get(client)
        there.wait_until_closed()
        assert [first, get(client)] == [(200, b"ok")] * 2
        client.close()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Name: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;",
    ],
)
def test_the_deadline_is_for_the_whole_answer(begun: bytes) -> None:
    enough = threading.Event()
    end = time.monotonic() + 3  # of a client that would wait for ever

    def drips(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(begun)
        while time.monotonic() < end and not enough.wait(0.02):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    with server(drips) as there, pytest.raises(TimeoutError):
        get(HttpClient(there.address), timeout_s=0.3)
    assert time.monotonic() < end
    enough.set()


def test_breaking_off_ends_every_wait_for_an_answer() -> None:
    asked, over = threading.Barrier(3), threading.Event()

    def behave(connection: socket.socket, _: int) -> None:
        read_request(connection)
        asked.wait(60)
        over.wait(60)

    with server(behave) as made:
        client = HttpClient(made.address)
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(client.request, "GET", "/", timeout_s=600, max_bytes=10) for _ in range(2)]
            asked.wait(60)
            client.close()
            client.break_off()
            for answer in answers:
                with pytest.raises((OSError, HTTPException)):
                    answer.result(60)
        over.set()
        with pytest.raises(NotReached):
            client.request("GET", "/", timeout_s=60, max_bytes=10)


def test_to_reach_is_to_have_a_connection_that_the_next_request_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_IDLE_S", 600.0)
    with server(polite) as made:
        client = HttpClient(made.address)
        client.reach(60)
        client.reach(60)
        assert get(client, timeout_s=60) == (200, b"ok")
        assert made.connections == 1
        client.close()
        with pytest.raises(NotReached):
            client.reach(60)
    made.server_close()
    with pytest.raises(Refused):
        HttpClient(made.address).reach(60)
