"""What the hosting tests share: all of hosting over the fake runtime, whose containers are real servers on loopback."""

import http.server
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagemaker.api.tags import Tags
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.core.store import MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.configs import EndpointConfigs
from stagemaker.hosting.endpoints import Endpoints
from stagemaker.hosting.invoke import Invoke
from stagemaker.hosting.models import Models
from stagemaker.runtime.contract import Runtime
from stagemaker.runtime.fake import Behaviour, FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeAws, FakeLogs

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/stagemaker/serve:latest"
DATA = "s3://bucket/model.tar.gz"
PATIENCE_S = 20.0


def archive(**files: str) -> bytes:
    """A tar.gz of text files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def until(true: Callable[[], bool], what: str) -> None:
    """Poll, with a bound."""
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.01)


class EchoHandler(http.server.BaseHTTPRequestHandler):
    """/invocations answers what it was sent and by which container; its body steers the rest."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    program: FakeProgram
    died: threading.Event

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Into the container's log."""
        self.program.say(format % args)

    def do_GET(self) -> None:
        """/ping; SICK in the environment makes the container so."""
        self.answer(500 if "SICK" in self.program.spec.environment else 200, b"", {})

    def do_POST(self) -> None:
        """/invocations."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.startswith(b"status "):
            self.answer(int(body[7:]), b"the container's reason", {})
        elif body == b"large":
            self.answer(200, bytes(7_000_000), {})
        elif body in (b"hang up", b"die"):
            self.close_connection = True  # at death too: its thread would outlive the server
            if body == b"die":
                self.answer(200, b"", {})
                self.died.set()
        else:
            self.echo(body)

    def echo(self, body: bytes) -> None:
        """What came in, as JSON."""
        seen = {"headers": dict(self.headers), "body": body.decode(), "container": self.program.spec.name}
        name = "X-Amzn-SageMaker-Custom-Attributes"
        attributes = {name: self.headers[name]} if name in self.headers else {}
        self.answer(200, json.dumps(seen).encode(), {"Content-Type": "application/json", **attributes})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class EchoServer(http.server.ThreadingHTTPServer):
    """Does not wait for idle connections when it is closed, and is silent about those that end badly."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client's side of it is what is tested."""


def echo_server(program: FakeProgram) -> int:
    """Serves until it is stopped, or told to die, which is exit code 7."""
    return serve_until(program, threading.Event())


def serve_until(program: FakeProgram, died: threading.Event) -> int:
    """As `echo_server`; `died` ends it too."""
    handler = type("Handler", (EchoHandler,), {"program": program, "died": died})
    assert program.address
    program.say(f"serving {sorted(path.name for path in (program.base / 'model').iterdir())}")
    with EchoServer(program.address, handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            while not died.is_set():
                program.sleep(0.05)
        finally:
            server.shutdown()
    return 7


def dies(program: FakeProgram) -> int:
    """Ends before it serves."""
    program.say("cannot load")
    return 3


def mute(program: FakeProgram) -> int:
    """Runs, but never listens."""
    program.sleep(60)
    return 0


class Hosting:
    """All hosting services over one store, and shorthands for the calls that most tests make."""

    def __init__(self, folder: Path, clock: Callable[[], float], runtime: Runtime, supervisor: Supervisor) -> None:
        self.folder, self.supervisor = folder / "endpoints", supervisor
        self.aws, self.logs, self.store = FakeAws({DATA: archive(**{"model.json": "{}"})}), FakeLogs(), MemoryStore()
        self.models = Models(self.store, runtime, self.aws, clock)
        self.configs = EndpointConfigs(self.store, clock)
        self.endpoints = Endpoints(self.store, runtime, self.aws, self.logs, clock, self.folder, supervisor)
        self.invoke = Invoke(self.store, self.endpoints, self.logs, clock)
        self.tags = Tags(self.store)

    def model(self, name: str, image: str = IMAGE, **container: Any) -> None:
        self.models.create_model(
            SCOPE,
            {
                "ModelName": name,
                "PrimaryContainer": {"Image": image, "ModelDataUrl": DATA, **container},
                "ExecutionRoleArn": ROLE,
            },
        )

    def config(self, name: str, *variants: Mapping[str, Any]) -> None:
        """Each variant is completed to one instance of the model "model" under the name "AllTraffic"."""
        defaults = {
            "VariantName": "AllTraffic",
            "ModelName": "model",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        full = [{**defaults, **variant} for variant in variants or ({},)]
        self.configs.create_endpoint_config(SCOPE, {"EndpointConfigName": name, "ProductionVariants": full})

    def create(self, name: str = "end", config: str = "config") -> None:
        self.endpoints.create_endpoint(SCOPE, {"EndpointName": name, "EndpointConfigName": config})

    def deploy(self, *variants: Mapping[str, Any], **container: Any) -> None:
        """An endpoint "end" of a model "model", in service."""
        self.model("model", **container)
        self.config("config", *variants)
        self.create()
        self.wait_for("InService")

    def describe(self, name: str = "end") -> dict[str, Any]:
        return self.endpoints.describe_endpoint(SCOPE, {"EndpointName": name})

    def status(self, name: str = "end") -> str:
        record = self.store.get(Ref(SCOPE, ENDPOINT, name))
        return str(record["EndpointStatus"]) if record else "gone"

    def wait_for(self, status: str, name: str = "end") -> None:
        until(lambda: self.status(name) == status, f"{name} {status}, but {self.status(name)}")

    def ask(self, body: bytes = b"hello", **members: Any) -> dict[str, Any]:
        return self.invoke.invoke_endpoint(SCOPE, {"EndpointName": "end", "Body": body, **members})

    def container_of(self, **members: Any) -> str:
        """The name of the container that answers."""
        return str(json.loads(self.ask(**members)["Body"])["container"])

    def wait_for_line(self, text: str) -> None:
        """Until a line of a log has it."""
        until(
            lambda: any(text in line for lines in [*self.logs.lines.values()] for line in [*lines]), f"the line {text}"
        )

    def left(self) -> list[Path]:
        """Files that fleets left behind."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


class HostingEnvironment(Hosting):
    """On the fake runtime."""

    def __init__(self, folder: Path, clock: Callable[[], float], behaviours: Mapping[str, Behaviour]) -> None:
        supervisor = Supervisor()
        self.runtime = FakeRuntime({"serve": echo_server, "dies": dies, "mute": mute, **behaviours}, supervisor)
        supervisor.own(self.runtime.close)
        super().__init__(folder, clock, self.runtime, supervisor)


@contextmanager
def hosting_environment(
    folder: Path, clock: Callable[[], float] = time.time, **behaviours: Behaviour
) -> Iterator[HostingEnvironment]:
    """It is closed afterwards, and left no folder and no thread."""
    made = HostingEnvironment(folder, clock, behaviours)
    try:
        yield made
    finally:
        made.supervisor.close()
        assert not made.folder.exists()
        assert made.supervisor.threads() == []
