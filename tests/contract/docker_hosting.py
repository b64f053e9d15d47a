"""Endpoints of real containers on a Docker runtime of their own, under a clock that the test moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagemaker.core.errors import ApiError
from stagemaker.hosting.health import HealthTimes
from tests.contract.docker_environment import DockerEnvironment, Proxy
from tests.unit.plugin.fakes import FakeClock
from tests.unit.plugin.hosting_environment import Hosting

# PING is run at each GET /ping and CALL at each POST /invocations; a body steers the latter too.
SERVER = """
import http.server, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pings, status, leaked = 0, 200, []
    go_on = threading.Event()
    def log_message(self, *_): pass
    def do_GET(self):
        Handler.pings += 1
        print("asked")
        exec(os.environ["PING"])
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"late": time.sleep(600)
        if body == b"long": time.sleep(1)
        if body == b"stream": return self.stream()
        if body == b"go on": Handler.go_on.set()
        if body == b"die": os._exit(7)
        if body == b"work": time.sleep(0.02)
        exec(os.environ.get("CALL", ""))
        self.answer(os.uname().nodename.encode())
    def answer(self, body):
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def stream(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\\r\\nfirst\\r\\n")
        Handler.go_on.wait()
        self.wfile.write(b"4\\r\\nlast\\r\\n0\\r\\n\\r\\n")
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


class DockerHosting(Hosting):
    """Hosting over the containers of a Docker runtime."""

    def __init__(self, image: str, folder: Path, times: HealthTimes) -> None:
        self.clock, self.engine = FakeClock(), DockerEnvironment(image, folder)
        self.proxy = Proxy(folder / "engine.sock")
        runtime = self.engine.new_runtime(url=self.proxy.url)
        super().__init__(folder, self.clock, runtime, self.engine.supervisor, times=times)

    def serve(self, source: str = SERVER, ping: str = "", image: str = "", **variant: int) -> None:
        """Create the endpoint "end"."""
        self.model("model", image or self.engine.image, Environment={"SOURCE": source, "PING": ping})
        self.config("config", {"ContainerStartupHealthCheckTimeoutInSeconds": 60, **variant})
        self.create()

    def container_of(self, body: bytes = b"hello", **members: Any) -> str:
        """The id of the container that answers."""
        answer: bytes = self.ask(body, **members)["Body"]
        return answer.decode()

    def outcome(self, body: bytes) -> str:
        """Who answered, or the code and the reason of the error."""
        try:
            return self.container_of(body)
        except ApiError as error:
            return f"{error.code}: {error.members.get('OriginalMessage', error.message)}"

    def close(self) -> None:
        self.engine.close()
        self.proxy.cut()


@contextmanager
def docker_hosting(image: str, folder: Path, times: HealthTimes | None = None) -> Iterator[DockerHosting]:
    """It is closed afterwards, and left no container, network and file."""
    made = DockerHosting(image, folder, times or HealthTimes())
    yield made
    made.close()
    assert (made.engine.left(), made.left()) == ([], [])
