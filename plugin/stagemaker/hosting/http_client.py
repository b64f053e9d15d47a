"""A small keep-alive HTTP client for one container: a request costs no connection and has a deadline as a whole."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from socket import MSG_PEEK, SHUT_RDWR, socket
from typing import IO, Any

MAX_IDLE = 32  # (ours) connections kept for one container
MAX_IDLE_S = 1.0  # (ours) before a connection is not used again: servers close idle ones, gunicorn after 2 s
CHUNK_BYTES = 256 << 10
CONNECT_S = 1.0  # (ours) before another instance is asked or, where there is none, the connection is tried again


@dataclass(frozen=True)
class Reply:
    """What a container answered. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NotReached(ConnectionError):
    """No connection, so that nothing was sent: another may be asked."""


class Refused(NotReached):
    """Nobody listens."""


class TooLarge(ValueError):
    """The answer is longer than the caller takes."""


class _Socket(socket):
    """Waits for no byte beyond its deadline, which a plain timeout allows when they come one at a time."""

    deadline = 0.0

    def recv_into(self, *arguments: Any) -> int:
        """As a socket's."""
        self.settimeout(_left(self.deadline))
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        """As a socket's."""
        self.settimeout(_left(self.deadline))
        super().sendall(*arguments)


class _Connection(HTTPConnection):
    """Over such a socket."""

    sock: _Socket
    idle_since_s = 0.0  # by time.monotonic

    def connect(self) -> None:
        """As the original."""
        super().connect()
        self.sock = _Socket(fileno=self.sock.detach())


class Answer:
    """An answer that has begun, whose body is read as it comes. One thread reads, to the end, and closes it;
    `cancel` may be called from any. Leave it as a context manager."""

    def __init__(self, connection: _Connection, sock: _Socket, give_back: Callable[[_Connection, bool], None]) -> None:
        """`give_back` is called once, at the end, with whether the connection can be used again."""
        self._connection: _Connection | None = connection
        self._socket, self._give_back = sock, give_back
        self._response = connection.getresponse()
        self._whole = False
        self.status, self.headers = self._response.status, _headers(self._response)  # names in lower case

    def read(self) -> bytes:
        """The next piece as soon as it has come, at most CHUNK_BYTES; nothing at the end. OSError or HTTPException when
        the other side breaks off, TimeoutError when the time of the request is up."""
        piece = self._response.read1(CHUNK_BYTES)
        if not piece:
            if self._response.length:
                raise HTTPException("the answer ended early")
            self._whole = True
        return piece

    def cancel(self) -> None:
        """Break off: whoever reads does not wait any longer."""
        _break_off(self._socket)

    def close(self) -> None:
        """Give the connection back, or drop it when the answer was not read to its end. A second call does nothing."""
        self._response.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._give_back(connection, self._whole)

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HttpClient:
    """Requests to one address, from any thread, each over a connection of its own while it lasts."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._idle: list[_Connection] = []
        self._busy: dict[_Connection, _Socket] = {}
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        max_bytes: int,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        connect_s: float | None = None,
        on_sending: Callable[[], object] = lambda: None,
    ) -> Reply:
        """As `open`, with the whole answer. TooLarge for one of more than `max_bytes`."""
        with self.open(
            method, path, timeout_s=timeout_s, body=body, headers=headers, connect_s=connect_s, on_sending=on_sending
        ) as answer:
            return Reply(answer.status, answer.headers, read_whole(answer, max_bytes))

    def open(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        body: bytes | IO[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        connect_s: float | None = None,
        on_sending: Callable[[], object] = lambda: None,
    ) -> Answer:
        """Ask once: what may have arrived is never sent again. A `body` that is a file needs the header Content-Length.

        Raises NotReached when nobody was reached: at once, or, where nobody refuses, after `connect_s`; without it the
        client tries until the time is up, as a busy server needs it. From the call of `on_sending` on the request may
        have arrived. Then it raises OSError or HTTPException when the other side breaks off or does not speak HTTP.
        TimeoutError after `timeout_s`, which all of the answer has.
        """
        deadline = time.monotonic() + timeout_s
        connection = self._reuse() or self._connect(deadline, connect_s)
        sock = connection.sock
        with self._lock:
            self._busy[connection] = sock
        try:
            if self._closed:
                raise NotReached("it is closed")
            on_sending()
            sock.deadline = deadline
            connection.request(method, path, body, dict(headers or {}))
            return Answer(connection, sock, self._give_back)
        except BaseException:
            self._give_back(connection, False)
            raise

    def reach(self, timeout_s: float, connect_s: float | None = None) -> None:
        """Make sure that somebody listens, by a connection that the next request uses. Raises as `open`."""
        self._keep(self._reuse() or self._connect(time.monotonic() + timeout_s, connect_s))

    def close(self) -> None:
        """Make no connection any more, and drop the idle ones; those in use are dropped when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def break_off(self) -> None:
        """Once it is closed: nobody answers any more. Whoever waits for an answer does so no longer."""
        with self._lock:
            busy = list(self._busy.values())
        for sock in busy:
            _break_off(sock)

    def _connect(self, deadline: float, connect_s: float | None) -> _Connection:
        give_up = deadline if connect_s is None else time.monotonic() + connect_s
        while not self._closed:
            connection = _Connection(*self._address, timeout=min(CONNECT_S, _left(deadline)))
            try:
                connection.connect()
            except TimeoutError as error:  # nobody refuses for a container that is gone: its address leads nowhere
                if give_up <= time.monotonic() < deadline:
                    raise NotReached(str(error)) from error
            except ConnectionRefusedError as error:
                raise Refused(str(error)) from error
            except OSError as error:
                raise NotReached(str(error)) from error
            else:
                return connection
        raise NotReached("it is closed")

    def _reuse(self) -> _Connection | None:
        """The connection that was used last, unless that was too long ago or the other side has closed it."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or _is_usable(connection):
                return connection
            connection.close()

    def _give_back(self, connection: _Connection, usable: bool) -> None:
        with self._lock:
            self._busy.pop(connection, None)
        if usable:
            self._keep(connection)
        else:
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        connection.idle_since_s = time.monotonic()
        with self._lock:
            if connection.sock is not None and not self._closed and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def read_whole(answer: Answer, max_bytes: int) -> bytes:
    """All that is left of the answer. TooLarge for more than `max_bytes`."""
    body = bytearray()
    while piece := answer.read():
        body += piece
        if len(body) > max_bytes:
            raise TooLarge(f"more than {max_bytes} bytes")
    return bytes(body)


def _break_off(sock: socket) -> None:
    with suppress(OSError):
        sock.shutdown(SHUT_RDWR)


def _headers(response: HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _is_usable(connection: _Connection) -> bool:
    if time.monotonic() - connection.idle_since_s > MAX_IDLE_S:
        return False
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
