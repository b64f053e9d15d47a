"""A real HTTP server on loopback; the path of a request decides how it answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from tests.unit.containers.serve_process import encode


class Handler(BaseHTTPRequestHandler):
    """Calls the method send_<first part of the path>, and keeps every request in `seen`."""

    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        type(self).seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        kind, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"send_{kind.partition('?')[0]}")(rest)

    def send_photo(self, _rest: str) -> None:
        self.reply(200, b"photo bytes")

    def send_empty(self, _rest: str) -> None:
        self.reply(200, b"")

    def send_status(self, rest: str) -> None:
        self.reply(int(rest), b"no")

    def send_to(self, rest: str) -> None:
        self.reply(302, b"", Location=rest)

    def send_loop(self, _rest: str) -> None:
        self.reply(307, b"", Location="/loop")

    def send_nowhere(self, _rest: str) -> None:
        self.reply(302, b"")

    def send_large(self, _rest: str) -> None:
        self.reply(200, b"x" * 5000)

    def send_chunked(self, _rest: str) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(50):
            self.wfile.write(b"64\r\n" + b"x" * 100 + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def send_short(self, _rest: str) -> None:
        self.reply(200, b"cut", **{"Content-Length": "100"})

    def send_length(self, rest: str) -> None:
        """Answers with a Content-Length that is given percent-encoded."""
        self.send_response(200)
        self.send_header("Content-Length", unquote(rest, "latin-1"))
        self.end_headers()

    def send_gzip(self, _rest: str) -> None:
        self.reply(200, b"zzz", **{"Content-Encoding": "gzip"})

    def send_headers(self, _rest: str) -> None:
        self.reply(200, b"x", Long="y" * 300_000)

    def send_drip(self, _rest: str) -> None:
        """Sends one byte at a time until the server stops."""
        self.send_response(200)
        self.end_headers()
        while not self.server.stopping.wait(0.02):  # type: ignore[attr-defined]
            self.wfile.write(b"x")

    def send_held(self, _rest: str) -> None:
        """Answers with an image when the server stops, or when the test says so."""
        self.server.stopping.wait(300)  # type: ignore[attr-defined]
        self.reply(200, encode("red"))

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.handler: type[Handler] = type("OwnHandler", (Handler,), {"seen": []})
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), self.handler)

    def handle_error(self, *_args: Any) -> None:
        """Ignores that a client closed its connection."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def running() -> Iterator[Server]:
    """Runs a server until the end of the block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stopping.set()
        server.shutdown()
        thread.join()
