"""An HTTP server that gives programs the credentials of their roles, as AWS's SDKs ask for them.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html. An SDK asks for them at an address
in its environment, and asks again before they end: a program of many hours always has some.
"""

import hmac
import json
import secrets
import threading
import time
import uuid
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.core.http_server import BoundedServer
from stagemaker.core.role_session import RoleSession
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.ports import LOOPBACK

_PATH = "/v2/credentials/"
_CONNECTIONS = 32  # at once
_SILENCE_S = 5.0  # as AWS's agent


class CredentialsServer(BoundedServer):
    """`start` and `close` it. Thread-safe. OSError when it cannot listen."""

    def __init__(self, address: tuple[str, int], clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._issuers: dict[str, tuple[RoleSession, str]] = {}
        super().__init__(address, _Handler, _CONNECTIONS)

    def add(self, issue: Callable[[], Credentials], token: str = "") -> str:
        """Give out what `issue` returns, until `remove`, to who sends the token as Authorization, if there is one; the
        path to ask for it, which nobody can guess."""
        path = f"{_PATH}{uuid.uuid4()}"
        self._issuers[path] = (RoleSession(issue, self._clock), token)
        return path

    def remove(self, path: str) -> None:
        """Give out nothing more at this path."""
        self._issuers.pop(path, None)

    def answer(self, path: str, token: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """Status and body, in the words of AWS's agent."""
        session, wanted = self._issuers.get(path, (None, ""))
        if session is None or not hmac.compare_digest(token.encode(), (wanted or token).encode()):
            if path.rstrip("/") == _PATH.rstrip("/"):
                return _error("NoIdInRequest", "No ID in the request", HTTPStatus.BAD_REQUEST)
            return _error("InvalidIdInRequest", "Credentials not found", HTTPStatus.BAD_REQUEST)
        try:
            credentials = session.credentials()
        except ApiError as error:
            return _error("InternalServerError", error.message, HTTPStatus.INTERNAL_SERVER_ERROR)
        return HTTPStatus.OK, {
            "RoleArn": credentials.role_arn,
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.token,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(credentials.expiration_s)),
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that is killed breaks its connection: nothing to say."""


class LoopbackCredentials:
    """One such server for the processes of this machine, made when the first of them needs it. Thread-safe."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._lock = threading.Lock()
        self._server: CredentialsServer | None = None

    def add(self, issue: Callable[[], Credentials]) -> tuple[dict[str, str], Callable[[], None]]:
        """The variables by which a program's SDK finds what `issue` returns, and what to call at the program's end.
        OSError when the machine cannot serve it."""
        with self._lock:
            server = self._server or self._started()
            self._server = server
        token = secrets.token_urlsafe(32)
        path = server.add(issue, token)
        address = f"http://{LOOPBACK}:{server.server_address[1]}{path}"
        variables = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": address, "AWS_CONTAINER_AUTHORIZATION_TOKEN": token}
        return variables, lambda: server.remove(path)

    def _started(self) -> CredentialsServer:
        server = CredentialsServer((LOOPBACK, 0))
        try:
            server.start(self._supervisor, "credentials")
        except RuntimeError as error:  # no more threads
            raise OSError(str(error)) from error
        return server

    def close(self) -> None:
        """Give out nothing any more. Idempotent."""
        with self._lock:
            server, self._server = self._server, None
        if server:
            server.close()


class _Handler(BaseHTTPRequestHandler):
    server: CredentialsServer
    timeout = _SILENCE_S

    def do_GET(self) -> None:
        """Answer for the path; the agent's other paths (metadata, statistics) are not there."""
        status, body = self.server.answer(self.path, self.headers.get("Authorization", ""))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def _error(code: str, message: str, status: HTTPStatus) -> tuple[HTTPStatus, dict[str, Any]]:
    return status, {"code": code, "message": f"CredentialsV2Request: {message}", "HTTPErrorCode": int(status)}
