"""A registry of ECR that falters: before LocalStack and the registry's front, with the faults that AWS's has.

A password expires in the middle of a push (12 hours on AWS), a connection breaks in the middle of a layer, and a
manifest is answered with 429 or 503.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_NOT_PASSED = {"host", "transfer-encoding", "content-length", "expect", "connection"}
_NOT_RETURNED = {"transfer-encoding", "content-length", "connection"}
_EXPIRED = "Your authorization token has expired. Reauthenticate and try again."


class EcrProxy(ThreadingHTTPServer):
    """`expires_after_uploads`: after so many blobs the password in use is expired. `cuts`: so many connections break in
    a layer. `manifest_answers` are the next statuses for manifests. `uploaded` are the digests of what was sent."""

    daemon_threads = True

    def __init__(self, gateway: str, front_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gateway_port, self.front_port = int(urlsplit(gateway).port or 0), front_port
        self.lock = threading.Lock()
        self.expires_after_uploads: int | None = None
        self.cuts = 0
        self.manifest_answers: list[int] = []
        self.expired: set[str] = set()
        self.expired_answers = 0
        self.uploaded: list[str] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: EcrProxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        of_registry = self.path.startswith("/v2/")
        if of_registry and self._falters():
            return
        body = self._body()
        port = self.server.front_port if of_registry else self.server.gateway_port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", f"localhost:{port}" if of_registry else self.headers["Host"])
            for name, value in self.headers.items():
                if name.lower() not in _NOT_PASSED:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        length = response.getheader("Content-Length", "0")
        if not of_registry:
            here = self.server.url.removeprefix("http://")
            content = content.replace(f"localhost:{self.server.front_port}".encode(), here.encode())
        if self.command != "HEAD":
            length = str(len(content))
        if response.status == 201:
            self._note_upload()
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in _NOT_RETURNED:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Docker tells its user."""

    def _falters(self) -> bool:
        """Whether the request has got an answer, or lost its connection, here."""
        server = self.server
        with server.lock:
            if self.headers.get("Authorization") in server.expired:
                server.expired_answers += 1
                answer: tuple[int, str, str] | None = (403, "DENIED", _EXPIRED)
            elif self.command == "PUT" and "/manifests/" in self.path and server.manifest_answers:
                answer = (server.manifest_answers.pop(0), "TOOMANYREQUESTS", "Rate exceeded")
            elif self.command == "PATCH" and server.cuts:
                server.cuts -= 1
                answer = None
            else:
                return False
        self.close_connection = True
        if answer is None:
            self.rfile.read(10_000)
            return True
        self._body()
        status, code, message = answer
        content = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.send_response_only(status)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(content)))):
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return True

    def _note_upload(self) -> None:
        digests = parse_qs(urlsplit(self.path).query).get("digest")
        if self.command != "PUT" or not digests:
            return
        server = self.server
        with server.lock:
            server.uploaded += digests
            if server.expires_after_uploads is not None and len(server.uploaded) >= server.expires_after_uploads:
                server.expires_after_uploads = None
                server.expired.add(self.headers["Authorization"])

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@contextmanager
def ecr_proxy(gateway: str, front_port: int) -> Iterator[EcrProxy]:
    """Serves until the end. `gateway` is LocalStack's address, `front_port` that of its registry."""
    server = EcrProxy(gateway, front_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
