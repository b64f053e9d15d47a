"""A small keep-alive HTTP client for one container: a request costs no connection and has a deadline as a whole."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import MSG_PEEK, socket
from typing import Any

MAX_IDLE = 32  # (ours) connections kept for one container
CHUNK_BYTES = 256 << 10
CONNECT_S = 1.0  # (ours) before it is tried again, as a busy server needs it, or given up, as that of a dead container


@dataclass(frozen=True)
class Reply:
    """What a container answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotReached(ConnectionError):
    """Nobody listens, nobody is there, or the client was closed: nothing was sent, and another may be asked."""


class TooLarge(ValueError):
    """The answer is longer than the caller takes."""


class _Socket(socket):
    """Waits for no byte beyond its deadline, which a plain timeout allows when they come one at a time."""

    deadline = 0.0

    def recv_into(self, *arguments: Any) -> int:
        """As a socket's."""
        self.settimeout(_left(self.deadline))
        return super().recv_into(*arguments)


class _Connection(HTTPConnection):
    """Over such a socket."""

    sock: _Socket

    def connect(self) -> None:
        """As the original."""
        super().connect()
        self.sock = _Socket(fileno=self.sock.detach())


class HttpClient:
    """Requests to one address, from any thread, each over a connection of its own while it lasts."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        max_bytes: int,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Ask and read the whole answer.

        Raises NotReached; TimeoutError after `timeout_s` in all; TooLarge for an answer of more than `max_bytes`;
        OSError or HTTPException when the other side breaks off or does not speak HTTP.
        """
        deadline = time.monotonic() + timeout_s
        sent = (method, path, body, dict(headers or {}))
        reused = self._reuse()
        if reused is not None:
            try:
                return self._exchange(reused, sent, deadline, max_bytes)
            except (ConnectionResetError, BrokenPipeError) as broken:
                # Closed as idle while we wrote; or the request killed the server, and must not go to the next one.
                try:
                    fresh = self._connect(deadline)
                except NotReached:
                    raise broken from None
        else:
            fresh = self._connect(deadline)
        return self._exchange(fresh, sent, deadline, max_bytes)

    def close(self) -> None:
        """Make no connection any more, and drop the idle ones; those in use are dropped when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connect(self, deadline: float) -> _Connection:
        while not self._closed:
            connection = _Connection(*self._address, timeout=min(CONNECT_S, _left(deadline)))
            try:
                connection.connect()
            except TimeoutError:  # nobody refuses for a container that is gone: its address leads nowhere
                continue
            except OSError as error:
                raise NotReached(str(error)) from error
            return connection
        raise NotReached("it is closed")

    def _exchange(
        self,
        connection: _Connection,
        sent: tuple[str, str, bytes | None, dict[str, str]],
        deadline: float,
        max_bytes: int,
    ) -> Reply:
        try:
            connection.sock.deadline = deadline
            connection.sock.settimeout(_left(deadline))
            connection.request(*sent)
            with connection.getresponse() as response:
                body = bytearray()
                while chunk := response.read1(CHUNK_BYTES):
                    body += chunk
                    if len(body) > max_bytes:
                        raise TooLarge(f"more than {max_bytes} bytes")
                if response.length:
                    raise HTTPException("the answer ended early")
                reply = Reply(response.status, _headers(response), bytes(body))
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return reply

    def _reuse(self) -> _Connection | None:
        """An idle connection that the other side has not closed, the one used last first."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or _is_open(connection):
                return connection
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            if connection.sock is not None and not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _headers(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _is_open(connection: _Connection) -> bool:
    try:
        connection.sock.setblocking(False)
        connection.sock.recv(1, MSG_PEEK)
    except BlockingIOError:
        return True  # nothing to read: as an idle connection should be
    except OSError:
        return False
    return False  # closed, or bytes that nobody asked for


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
