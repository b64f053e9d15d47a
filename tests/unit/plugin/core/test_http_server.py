"""A server that hostile callers cannot exhaust."""

import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from stagemaker.core.http_server import BoundedServer
from stagemaker.core.supervisor import Supervisor


class Silent(BaseHTTPRequestHandler):
    timeout = 60

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()


def test_so_many_connections_at_once_and_none_after_the_end() -> None:
    server = BoundedServer(("127.0.0.1", 0), Silent, most=2)
    before = threading.active_count()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    address = ("127.0.0.1", server.server_address[1])
    with (
        socket.create_connection(address, 10) as first,
        socket.create_connection(address, 10) as second,
        socket.create_connection(address, 10) as third,
    ):
        assert third.recv(1) == b""
        first.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert first.recv(1000).startswith(b"HTTP/1.0 204 ")
        assert first.recv(1) == b""
        deadline = time.monotonic() + 10
        while not server.places():
            assert time.monotonic() < deadline
        with socket.create_connection(address, 10) as fourth:
            fourth.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert fourth.recv(1000).startswith(b"HTTP/1.0 204 ")
        server.shutdown()
        thread.join()
        server.server_close()
        assert second.recv(1) == b""
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_thread_of_the_supervisor_s_serves_until_close() -> None:
    supervisor = Supervisor()
    server = BoundedServer(("127.0.0.1", 0), Silent, most=2)
    server.start(supervisor, "the server")
    assert supervisor.threads() == ["the server"]
    with socket.create_connection(("127.0.0.1", server.server_address[1]), 10) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.0 204 ")
    server.close()
    assert supervisor.threads() == []


def test_a_machine_without_more_threads_keeps_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    server = BoundedServer(("127.0.0.1", 0), Silent, most=2)
    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError):
        server.start(Supervisor(), "the server")
    assert server.socket.fileno() == -1
