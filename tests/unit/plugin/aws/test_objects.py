"""How many connections the reading of objects takes."""

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from stagemaker.aws.clients import Clients
from stagemaker.aws.objects import Objects
from stagemaker.core.refs import Scope

SCOPE = Scope("000000000000", "us-east-1")


class Store(BaseHTTPRequestHandler):
    """Has one object under every key, and keeps connections."""

    protocol_version = "HTTP/1.1"
    connections: set[tuple[str, int]]

    def do_GET(self) -> None:
        self.connections.add(self.client_address)
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"body")

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the original
        pass


def test_readers_of_the_same_clients_share_their_connections() -> None:
    """Each job has a reader of its own: connections of its own would stay after it."""
    seen: set[tuple[str, int]] = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Seen", (Store,), {"connections": seen})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        clients = Clients(f"http://127.0.0.1:{server.server_port}")
        try:
            for _ in range(5):
                size, body = Objects(clients).open(SCOPE, "bucket", "a key")
                with closing(body):
                    assert (size, body.read(10)) == (4, b"body")
        finally:
            clients.http.close()
            server.shutdown()
            thread.join()
    assert len(seen) == 1
