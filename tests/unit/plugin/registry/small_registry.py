"""A small registry service on loopback, for tests without registry:2: manifests by digest, blobs in one request, and
the paths that it was asked for."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SmallRegistry(ThreadingHTTPServer):
    """`content` by path; `asked` every request line so far. `breaks_after` bytes of an upload it hangs up; `on_delete`
    is called once, between the first deletion and its answer."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.breaks_after: int | None = None
        self.on_delete: Callable[[], object] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: SmallRegistry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path == "/v2/":
            return self._answer(200, b"{}")
        found = self.server.content.get(self.path)
        return self._answer(404, b"{}") if found is None else self._answer(200, found)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.path}")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(202, b"", Location=self.path.partition("?")[0] + "upload-1?_state=a%2Fb")

    def do_PUT(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.breaks_after is not None:
            self.rfile.read(self.server.breaks_after)
            self.close_connection = True
            return
        body = self._body()
        path = self.path
        if "/uploads/" in path:
            path = f"{path.partition('uploads/')[0]}sha256:{hashlib.sha256(body).hexdigest()}"
        self.server.content[path] = body
        self._answer(201, b"", Location=path)

    do_PATCH = do_PUT

    def do_DELETE(self) -> None:
        self.server.asked.append(f"DELETE {self.path}")
        found = self.server.content.pop(self.path, None)
        meanwhile, self.server.on_delete = self.server.on_delete, None
        if meanwhile:
            meanwhile()
        self._answer(202 if found is not None else 404, b"")

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def small_registry() -> Iterator[SmallRegistry]:
    """Serves until the end."""
    server = SmallRegistry()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
