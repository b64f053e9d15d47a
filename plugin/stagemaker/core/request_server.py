"""An HTTP server that idle and slow clients cannot fill: a connection has a place only while a request is answered.

One thread waits for the heads of all requests. Whoever sent a whole head gets a place, and with it a thread, for that
one request; then its connection waits again. Requests with a body have places of their own, since an upload takes
minutes.
"""

import logging
import os
import re
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from stagemaker.core.request_reader import RequestReader
from stagemaker.core.supervisor import Supervisor

LOG = logging.getLogger(__name__)
MAX_HEAD_BYTES = 65_536
_HEAD_END = re.compile(rb"\n\r?\n")
_HEAD_END_BYTES = 3
_METHOD = re.compile(rb"[A-Za-z]")  # the first byte of a request; of TLS it is another
_BODY = re.compile(rb"^(?:transfer-encoding:|content-length:[ \t]*0*[1-9])", re.IGNORECASE | re.MULTILINE)
_RECEIVE_BYTES = 1 << 16
_BACKLOG = 512  # connections that the kernel accepts ahead of us
_LOOK_S = 0.1  # between two looks for who is late


@dataclass(frozen=True)
class Limits:
    """How many at once, how long in seconds, and how fast."""

    requests: int = 128  # without a body that are answered
    uploads: int = 128  # with one
    waiting: int = 1024  # connections that wait for a head: of more, the oldest is closed; and requests for a place
    head_s: float = 10.0  # for a whole head, from the connection or from its first byte
    idle_s: float = 75.0  # between two requests
    pace_bytes: int = 100_000  # of a body, in each `pace_s`
    pace_s: float = 10.0
    write_s: float = 60.0  # for the client to take one piece of an answer
    linger_s: float = 2.0  # for what a client still sends after it was refused, which is thrown away
    linger_bytes: int = 64 << 20


@dataclass(eq=False)
class _Connection:
    socket: socket.socket
    address: Any
    deadline: float = 0.0  # on the monotonic clock, while it waits for a head or lingers
    received: bytearray = field(default_factory=bytearray)  # of the next request
    lingers_bytes: int | None = None  # how many more are thrown away; None before it lingers


@dataclass(eq=False)
class _Places:
    free: int
    waiting: deque[_Connection] = field(default_factory=deque)


class RequestHandler(BaseHTTPRequestHandler):
    """Answers one request. It is the next one's turn unless `close_connection`; `linger` ends the connection so that
    the answer arrives."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "RequestServer"  # type: ignore[assignment]  # of a BaseServer a handler asks for nothing
    rfile: RequestReader  # type: ignore[assignment]  # of a BufferedIOBase only what a handler uses

    def __init__(self, connection: socket.socket, address: Any, server: "RequestServer", received: bytes) -> None:
        self.lingers = False
        self._received = received
        super().__init__(connection, address, server)  # type: ignore[arg-type]

    def setup(self) -> None:
        """Read what has come, and then the connection at its pace."""
        super().setup()
        self.rfile.close()
        limits = self.server.limits
        self.connection.settimeout(limits.write_s)
        self.rfile = RequestReader(self.connection, self._received, limits.pace_bytes, limits.pace_s)

    def handle(self) -> None:
        """Answer one request, whose head has come."""
        self.close_connection = True
        if _HEAD_END.search(self._received):
            self.handle_one_request()
        else:
            self.requestline = self.request_version = self.command = ""
            too_long = len(self._received) > MAX_HEAD_BYTES
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_long else HTTPStatus.BAD_REQUEST)

    def linger(self) -> None:
        """End the connection, and have the server throw away what the client still sends for a while: to close it at
        once would lose the answer on its way."""
        self.close_connection = self.lingers = True
        self.connection.shutdown(socket.SHUT_WR)


class RequestServer:
    """Listens from its construction on, and answers from `start` to `close`, each called once. OSError: the port is
    taken."""

    def __init__(self, address: tuple[str, int], handler: type[RequestHandler], limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._handler = handler
        self._requests, self._uploads = _Places(self.limits.requests), _Places(self.limits.uploads)
        self._waiting: dict[_Connection, None] = {}  # for a head, or for the end; in the order in which they came
        self._lock = threading.Lock()  # of the next three: all else belongs to the one thread
        self._closing = False
        self._answered: set[_Connection] = set()
        self._done: list[tuple[_Connection, _Places]] = []
        self._listening = socket.create_server(address, backlog=_BACKLOG)
        self._listening.setblocking(False)
        self.server_address: tuple[str, int] = self._listening.getsockname()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()

    def start(self, supervisor: Supervisor, name: str) -> None:
        """Answer from now on, in threads of that name. RuntimeError when there are no more threads: it is closed."""
        self._supervisor, self._name = supervisor, name
        try:
            self._serving = supervisor.follow(name, self._serve)
        except RuntimeError:
            self._end()
            raise

    def close(self) -> None:
        """Listen no more, and cut every connection."""
        with self._lock:
            if not self._closing:
                self._closing = True
                os.eventfd_write(self._wake, 1)
        self._serving.join()

    def _serve(self) -> None:
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(self._wake, selectors.EVENT_READ, self._take_back)
        looked = time.monotonic()
        try:
            while not self._closing:
                for key, _ in self._selector.select(_LOOK_S):
                    if not isinstance(key.data, _Connection):
                        key.data()
                    elif key.data in self._waiting:  # not dropped a moment ago
                        self._receive(key.data)
                if (now := time.monotonic()) >= looked + _LOOK_S:
                    looked = now
                    for connection in [each for each in self._waiting if each.deadline <= now]:
                        self._drop(connection)
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._closing = True
            for connection in self._answered:
                with suppress(OSError):
                    connection.socket.shutdown(socket.SHUT_RDWR)
            done = [connection for connection, _ in self._done]
        for connection in (*done, *self._waiting, *self._requests.waiting, *self._uploads.waiting):
            connection.socket.close()
        self._selector.close()
        self._listening.close()
        os.close(self._wake)

    def _accept(self) -> None:
        for _ in range(_BACKLOG):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # there are no more file descriptors
                self._drop_oldest()
                time.sleep(_LOOK_S)  # it may not have been ours that were lacking
                return
            self._wait(_Connection(accepted, address), self.limits.head_s)

    def _wait(self, connection: _Connection, timeout_s: float) -> None:
        connection.socket.setblocking(False)
        connection.deadline = time.monotonic() + timeout_s
        self._waiting[connection] = None
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        if len(self._waiting) > self.limits.waiting:
            self._drop_oldest()

    def _receive(self, connection: _Connection) -> None:
        try:
            piece = connection.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._drop(connection)
        elif connection.lingers_bytes is not None:
            connection.lingers_bytes -= len(piece)
            if connection.lingers_bytes < 0:
                self._drop(connection)
        else:
            self._hear(connection, piece)

    def _hear(self, connection: _Connection, piece: bytes) -> None:
        """Give it a place, if the head is whole now, or so long or so wrong that it is to be refused."""
        if not connection.received:
            connection.deadline = time.monotonic() + self.limits.head_s
        start = max(0, len(connection.received) - _HEAD_END_BYTES)
        connection.received += piece
        end = _HEAD_END.search(connection.received, start)
        if end is None and len(connection.received) <= MAX_HEAD_BYTES and _METHOD.match(connection.received):
            return
        self._leave(connection)
        has_body = _BODY.search(connection.received, 0, end.end() if end else MAX_HEAD_BYTES)
        places = self._uploads if has_body else self._requests
        if places.free:
            places.free -= 1
            self._answer_in_thread(connection, places)
        elif len(places.waiting) < self.limits.waiting:
            places.waiting.append(connection)
        else:
            connection.socket.close()

    def _leave(self, connection: _Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._waiting[connection]

    def _drop(self, connection: _Connection) -> None:
        self._leave(connection)
        connection.socket.close()

    def _drop_oldest(self) -> None:
        if self._waiting:
            self._drop(next(iter(self._waiting)))

    def _answer_in_thread(self, connection: _Connection, places: _Places) -> None:
        with self._lock:
            self._answered.add(connection)
        try:
            self._supervisor.follow(self._name, lambda: self._answer(connection, places))
        except RuntimeError:  # there are no more threads
            connection.socket.close()
            self._give_back(connection, places)

    def _answer(self, connection: _Connection, places: _Places) -> None:
        goes_on = False
        received, connection.received = bytes(connection.received), bytearray()
        try:
            handler = self._handler(connection.socket, connection.address, self, received)
            goes_on = handler.lingers or not handler.close_connection
            if handler.lingers:
                connection.lingers_bytes = self.limits.linger_bytes
            else:
                connection.received = handler.rfile.unread
        except OSError:
            pass  # a broken connection is no news
        except Exception:
            LOG.exception("%s", self._name)
        finally:
            if not goes_on:
                connection.socket.close()
            self._give_back(connection, places)

    def _give_back(self, connection: _Connection, places: _Places) -> None:
        with self._lock:
            self._answered.discard(connection)
            if self._closing:
                connection.socket.close()
                return
            self._done.append((connection, places))
            os.eventfd_write(self._wake, 1)

    def _take_back(self) -> None:
        os.eventfd_read(self._wake)
        with self._lock:
            done, self._done = self._done, []
        for connection, places in done:
            if places.waiting:
                self._answer_in_thread(places.waiting.popleft(), places)
            else:
                places.free += 1
            if connection.socket.fileno() < 0:
                continue
            lingers = connection.lingers_bytes is not None
            self._wait(connection, self.limits.linger_s if lingers else self.limits.idle_s)
            if begun := bytes(connection.received):  # of the next request, which came with this one
                connection.received.clear()
                self._hear(connection, begun)
