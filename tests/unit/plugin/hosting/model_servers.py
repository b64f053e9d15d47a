"""Containers of a multi-model endpoint for the fake runtime: real servers on loopback with a small memory."""

import http.server
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stagemaker.runtime.fake import FakeProgram


class ModelServers:
    """What the image of such containers does. `memory`: how many models each has room for. An invocation answers what
    it got, with the text of the model's file weights.txt."""

    def __init__(self, memory: int = 100) -> None:
        self.memory = memory
        self.asked: list[str] = []  # without /ping and the list of models
        self.may_load = threading.Event()  # POST /models gets an answer
        self.may_load.set()
        self.load_status = 200  # of POST /models
        self.invoke_statuses: list[int] = []  # of the next invocations
        self.list_status = 200  # of GET /models

    def __call__(self, program: FakeProgram) -> int:
        """The program."""
        assert program.address
        over = threading.Event()
        with _Server(program.address, self, program, over) as server:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            try:
                while not over.is_set():
                    program.sleep(0.05)
            finally:
                over.set()
                server.shutdown()
        return 0


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], servers: ModelServers, program: FakeProgram, over: threading.Event
    ) -> None:
        self.servers, self.program, self.over = servers, program, over
        self.lock = threading.Lock()
        self.urls: dict[str, str] = {}
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client's side of it is what is tested."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: tests look at `asked`."""

    def do_GET(self) -> None:
        """/ping and /models."""
        if self.path == "/ping":
            self.answer(200, {})
            return
        with self.server.lock:
            models = [{"modelName": name, "modelUrl": url} for name, url in self.server.urls.items()]
        self.answer(self.server.servers.list_status, {"models": models})

    def do_DELETE(self) -> None:
        """Unload."""
        self.server.servers.asked.append(f"DELETE {self.path}")
        with self.server.lock:
            found = self.server.urls.pop(self.path.removeprefix("/models/"), None)
        self.answer(404 if found is None else 200, {})

    def do_POST(self) -> None:
        """Load, or invoke."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.servers.asked.append(f"POST {self.path}")
        if self.path == "/models":
            self.load(json.loads(body))
        else:
            self.invoke(self.path.removeprefix("/models/").removesuffix("/invoke"), body)

    def load(self, request: Mapping[str, str]) -> None:
        """409, 507 or 200."""
        servers = self.server.servers
        while not servers.may_load.wait(0.01):
            if self.server.over.is_set():
                self.close_connection = True
                return
        with self.server.lock:
            status = servers.load_status
            if request["model_name"] in self.server.urls:
                status = 409
            elif len(self.server.urls) >= servers.memory:
                status = 507
            if status == 200:
                self.server.urls[request["model_name"]] = request["url"]
        self.answer(status, {"said": "by the container"})

    def invoke(self, name: str, body: bytes) -> None:
        """404, what the test wants, or 200."""
        with self.server.lock:
            url = self.server.urls.get(name)
            wanted = self.server.servers.invoke_statuses
            status = 404 if url is None else wanted.pop(0) if wanted else 200
        weights = (Path(url) / "weights.txt").read_text() if url else ""
        told = {
            "weights": weights,
            "url": url,
            "name": name,
            "headers": dict(self.headers),
            "body": body.decode(),
            "container": self.server.program.spec.name,
        }
        self.answer(status, told)

    def answer(self, status: int, body: Mapping[str, Any]) -> None:
        """A whole answer."""
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
