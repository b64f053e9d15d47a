"""The Lambda Runtime API, version 2018-06-01, as one function's own program sees it: one server on a port of its own.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. It gives an `Exchange` the form of HTTP.
"""

import base64
import http.server
import json
import select
import socket
from concurrent.futures import CancelledError, Future
from http import HTTPStatus
from typing import Any

from stagemaker.core.http_server import BoundedServer
from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.exchange import Exchange, InitError, InvocationResponse, error
from stagemaker.functions.request_body import BrokenBodyError, RequestBody, read_body

MAX_EVENT_BYTES = 6 * 1024 * 1024  # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PAYLOAD_BYTES = 6 * 1024 * 1024 + 100  # of a response, as the error message of AWS says
_MAX_ERROR_BYTES = 256 * 1024
_ADMISSION_S = 20.0  # for a program that asks before we know where it runs
_STRANGER_S = 1.0  # for somebody else to say what it wants, and be refused
_STRANGER_BYTES = 64 * 1024
_SILENCE_S = 1000.0  # longer than a function may run: between two requests, and within one
_CONNECTIONS = 16  # a program needs one or two, and each may hold a whole response
_PREFIX = "/2018-06-01/runtime/"


class RuntimeApi:
    """Serves one program from its construction to `close`, at the address `host`. `address` is for
    AWS_LAMBDA_RUNTIME_API; `name` is what the program calls us, where that is not `host`. Nobody is served but the
    machine that `admit` names: on a network with others a port alone keeps nobody out."""

    def __init__(self, host: str, exchange: Exchange, supervisor: Supervisor, name: str = "") -> None:
        self.exchange = exchange
        self._peer: Future[str] = Future()
        self._server = _Server((host, 0), self)
        self.address = f"{name or host}:{self._server.server_address[1]}"
        self._server.start(supervisor, f"runtime API {self.address}")

    def admit(self, ip: str) -> None:
        """Say, once, from where the program's connections come: those that wait for it are answered now."""
        self._peer.set_result(ip)

    def admits(self, ip: str) -> bool:
        """Whether the program runs there; False when nobody says where within 20 s."""
        try:
            return self._peer.result(_ADMISSION_S) == ip
        except (TimeoutError, CancelledError):
            return False

    def is_stranger(self, ip: str) -> bool:
        """Whether the program is known to run elsewhere."""
        return self._peer.done() and not self.admits(ip)

    def close(self) -> None:
        """Stop serving, and cut every connection. Call it once, when the program has ended."""
        self._peer.cancel()
        self._server.close()


class _Server(BoundedServer):
    def __init__(self, address: tuple[str, int], api: RuntimeApi) -> None:
        self.api = api
        super().__init__(address, _Handler, _CONNECTIONS)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as the original
        """Strangers leave at least half of the connections to the program."""
        return self.places() > (self.most // 2 if self.api.is_stranger(client_address[0]) else 0)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that is killed breaks its connection: nothing to say."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True
    timeout = _SILENCE_S

    def handle(self) -> None:
        """Serve the program; refuse anybody else without reading more than comes at once."""
        if self.server.api.admits(self.client_address[0]):
            super().handle()
            return
        self.connection.settimeout(_STRANGER_S)
        if self.connection.recv(_STRANGER_BYTES):
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def do_GET(self) -> None:
        if self._refuse_web_pages():
            return
        if self.path != f"{_PREFIX}invocation/next":
            self._say(HTTPStatus.NOT_FOUND)
        elif (invocation := self.server.api.exchange.take()) and self._is_gone():
            self.server.api.exchange.put_back(invocation)
            self.close_connection = True
        elif invocation:
            headers = {
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Trace-Id": invocation.trace_id,
            }
            if invocation.client_context:
                headers["Lambda-Runtime-Client-Context"] = invocation.client_context
            self._say(HTTPStatus.OK, invocation.payload, headers)
        else:
            self.close_connection = True  # nobody hears it

    def do_POST(self) -> None:
        if self._refuse_web_pages():
            return
        try:
            self._hear()
        except BrokenBodyError:
            self.close_connection = True
            self._say(HTTPStatus.BAD_REQUEST)

    def _is_gone(self) -> bool:
        """Whether the program has ended since it asked."""
        ready = select.poll()
        ready.register(self.connection, select.POLLIN)
        try:
            return bool(ready.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _hear(self) -> None:
        kind, _, rest = self.path.removeprefix(_PREFIX).partition("/")
        request_id, _, what = rest.partition("/")
        if (kind, rest) == ("init", "error"):
            taken = self.server.api.exchange.fail(InitError(self._body(_MAX_ERROR_BYTES).data))
            self._say(HTTPStatus.ACCEPTED if taken else HTTPStatus.FORBIDDEN)
        elif kind == "invocation" and what == "response":
            self._respond(request_id, _response(self._body(MAX_PAYLOAD_BYTES)))
        elif kind == "invocation" and what == "error":
            self._respond(request_id, InvocationResponse(self._body(_MAX_ERROR_BYTES).data, is_error=True))
        else:
            self._body(0)
            self._say(HTTPStatus.NOT_FOUND)

    def _respond(self, request_id: str, response: InvocationResponse) -> None:
        taken = self.server.api.exchange.respond(request_id, response)
        self._say(HTTPStatus.ACCEPTED if taken else HTTPStatus.BAD_REQUEST)

    def _body(self, limit: int) -> RequestBody:
        return read_body(self.rfile, self.headers, limit)  # type: ignore[arg-type]  # a BufferedReader

    def _refuse_web_pages(self) -> bool:
        """A web page in a browser on this machine may not take an invocation or answer one."""
        web_page = "Origin" in self.headers or "Sec-Fetch-Site" in self.headers
        if refused := web_page or self.headers.get("Host") != self.server.api.address:
            self.close_connection = True
            self._say(HTTPStatus.FORBIDDEN)
        return refused

    def _say(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Nothing: the function's own log says what happened."""


def _response(body: RequestBody) -> InvocationResponse:
    """What a function returned, or the error that ended it after it had begun to send (AWS's two trailers for that)."""
    if body.size > MAX_PAYLOAD_BYTES:
        limit = f"exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)"
        message = f"Response payload size ({body.size} bytes) {limit}."
        return InvocationResponse(error("Function.ResponseSizeTooLarge", message), is_error=True)
    if kind := body.trailers.get("lambda-runtime-function-error-type"):
        late = _late_error(kind, body.trailers.get("lambda-runtime-function-error-body", ""))
        return InvocationResponse(late, is_error=True)
    return InvocationResponse(body.data, is_error=False)


def _late_error(kind: str, encoded: str) -> bytes:
    """`encoded` is JSON in base64."""
    try:
        found = base64.b64decode(encoded, validate=True)
        json.loads(found)
    except ValueError:
        return error(kind, "The function failed while it sent its response.")
    return found
