"""An HTTP server for callers that may be hostile: so many connections at once, and none after its end."""

import socket
import socketserver
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stagemaker.core.supervisor import Supervisor

_POLL_S = 0.1  # until it notices that it is to end


class BoundedServer(ThreadingHTTPServer):
    """Each connection has a thread of its own, `most` at once: one more is closed unheard. `start` and `close` it."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], most: int) -> None:
        self.most = most
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, handler)

    def start(self, supervisor: Supervisor, name: str) -> None:
        """Serve from now on, in a thread of that name. RuntimeError when there are no more threads: it is closed."""
        try:
            self._serving = supervisor.follow(name, lambda: self.serve_forever(_POLL_S))
        except RuntimeError:
            self.server_close()
            raise

    def close(self) -> None:
        """Listen no more, and cut every connection. Once, after `start`."""
        self.shutdown()
        self._serving.join()
        self.server_close()

    def server_bind(self) -> None:
        """Without HTTPServer's question to the name service, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def places(self) -> int:
        """How many more connections would be heard now."""
        with self._lock:
            return self.most - len(self._open)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - as the original
        """Whether to hear this connection. Called for each, by one thread."""
        return self.places() > 0

    def process_request(self, request: Any, client_address: Any) -> None:
        """Called for each connection that is heard, before its thread starts."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """At the connection's end, also when it was not heard."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Listen no more, and cut every connection."""
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        super().server_close()
