"""The endpoint that gives a container the credentials of its role, as AWS's containers have it at 169.254.170.2.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html. AWS's SDKs ask it at the path in
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, and ask again before the credentials end.
"""

import fcntl
import json
import socket
import struct
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

ADDRESS, PORT = "169.254.170.2", 80
_PATH = "/v2/credentials/"
_CONNECTIONS = 32  # of one network at once
_SILENCE_S = 5.0  # as AWS's agent
_RENEW_S = 30 * 60  # before the end: AWS's SDKs want others 15 minutes before
_SIOCGIFADDR = 0x8915  # netdevice(7)


class CredentialsEndpoint(BoundedServer):
    """Serves the containers of one network. Bound to the interface `device` ("": any), it hears nobody else, and its
    answers leave there: our container has the same link-local address on every network. OSError when it cannot listen.
    """

    def __init__(
        self, device: str = "", address: tuple[str, int] = (ADDRESS, PORT), clock: Callable[[], float] = time.time
    ) -> None:
        self._device, self._clock = device, clock
        self._issuers: dict[str, _Issuer] = {}
        super().__init__(address, _Handler, _CONNECTIONS)

    def add(self, issue: Callable[[], Credentials]) -> str:
        """Give out what `issue` returns, until `remove`; the path to ask for it, which nobody can guess."""
        path = f"{_PATH}{uuid.uuid4()}"
        self._issuers[path] = _Issuer(issue, self._clock)
        return path

    def remove(self, path: str) -> None:
        """Give out nothing more at this path."""
        self._issuers.pop(path, None)

    def answer(self, path: str) -> tuple[HTTPStatus, dict[str, Any]]:
        """Status and body, in the words of AWS's agent."""
        issuer = self._issuers.get(path)
        if issuer is None:
            if path.rstrip("/") == _PATH.rstrip("/"):
                return _error("NoIdInRequest", "No ID in the request", HTTPStatus.BAD_REQUEST)
            return _error("InvalidIdInRequest", "Credentials not found", HTTPStatus.BAD_REQUEST)
        try:
            credentials = issuer.credentials()
        except ApiError as error:
            return _error("InternalServerError", error.message, HTTPStatus.INTERNAL_SERVER_ERROR)
        return HTTPStatus.OK, {
            "RoleArn": credentials.role_arn,
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key,
            "Token": credentials.token,
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(credentials.expiration_s)),
        }

    def server_bind(self) -> None:
        """To the interface as well."""
        if self._device:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._device.encode())
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A program that is killed breaks its connection: nothing to say."""


class _Issuer:
    """Gives the same credentials until they are about to end. Thread-safe."""

    def __init__(self, issue: Callable[[], Credentials], clock: Callable[[], float]) -> None:
        self._issue, self._clock = issue, clock
        self._lock = threading.Lock()
        self._last: Credentials | None = None

    def credentials(self) -> Credentials:
        """Good for half an hour at least, if the role's are. ApiError when there are none any more."""
        with self._lock:
            if self._last is None or self._last.expiration_s - self._clock() < _RENEW_S:
                self._last = self._issue()
            return self._last


class _Handler(BaseHTTPRequestHandler):
    server: CredentialsEndpoint
    timeout = _SILENCE_S

    def do_GET(self) -> None:
        """Answer for the path; the agent's other paths (metadata, statistics) are not there."""
        status, body = self.server.answer(self.path)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Nothing."""


def device_of(address: str) -> str:
    """The network interface of this machine that has the IPv4 address first. LookupError when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:  # it has no address, or is gone
                continue
            if socket.inet_ntoa(found[20:24]) == address:
                return name
    raise LookupError(f"no network interface has the address {address}")


def _error(code: str, message: str, status: HTTPStatus) -> tuple[HTTPStatus, dict[str, Any]]:
    return status, {"code": code, "message": f"CredentialsV2Request: {message}", "HTTPErrorCode": int(status)}
