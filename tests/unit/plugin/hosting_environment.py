"""What the hosting tests share: all of hosting over the fake runtime, whose containers are real servers on loopback."""

import http.server
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from stagemaker.api.tags import Tags
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.core.store import Change, MemoryStore
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.configs import EndpointConfigs
from stagemaker.hosting.dispatch import Dispatcher
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.endpoints import Endpoints
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.invoke import Invoke
from stagemaker.hosting.models import Models
from stagemaker.hosting.response_stream import ResponseStreams
from stagemaker.runtime.contract import Runtime
from stagemaker.runtime.fake import Behaviour, FakeProgram, FakeRuntime
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeAws, FakeLogs

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/stagemaker/serve:latest"
DATA = "s3://bucket/model.tar.gz"
PATIENCE_S = 60.0


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


class EchoServer(http.server.ThreadingHTTPServer):
    """/invocations answers what it was sent and by which container; a body may make the container misbehave.

    It does not wait for idle connections when it is closed, and is silent about those that end badly."""

    daemon_threads = True
    address_family = socket.AF_INET

    def __init__(self, address: tuple[str, int], program: FakeProgram, died: threading.Event) -> None:
        self.program, self.died = program, died
        self.over = threading.Event()  # lets the handlers go that give no answer
        self.silent = threading.Event()  # /ping gets no answer
        self.go_on = threading.Event()  # answers that have begun may end
        self.cut_off = threading.Event()  # nothing gets an answer, and nobody a connection
        self.worker = threading.Lock() if "ONE_WORKER" in program.spec.environment else nullcontext()
        self._callers: list[socket.socket] = []
        super().__init__(address, EchoHandler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client's side of it is what is tested."""

    def say(self, line: str) -> None:
        """Into the container's log, unless it is being stopped: that would end the handler's thread too."""
        with suppress(BaseException):
            self.program.say(line)

    def closed_within(self, timeout_s: float) -> bool:
        """Whether it is closed before so long has passed, or before the container is told to go on."""
        end_s = time.monotonic() + timeout_s
        while not self.go_on.is_set() and time.monotonic() < end_s:
            if self.over.wait(min(0.01, timeout_s)):
                return True
        return False

    def refuse(self) -> None:
        """Listen no more, though the container goes on."""
        self.shutdown()
        self.socket.close()
        self.say("done")

    def cut(self) -> None:
        """As when the container has lost its network: fill the queue of connections that nobody accepts."""
        self.cut_off.set()
        self.shutdown()
        self.socket.listen(0)
        with suppress(TimeoutError):
            while True:
                self._callers.append(socket.create_connection(self.socket.getsockname(), 0.05))
        self.say("done")

    def server_close(self) -> None:
        """As the original, with what `cut` has made."""
        self.over.set()
        for caller in self._callers:
            caller.close()
        super().server_close()


class EchoHandler(http.server.BaseHTTPRequestHandler):
    """One connection to an EchoServer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: EchoServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Into the container's log."""
        self.server.say(format % args)

    def do_GET(self) -> None:
        """/ping; SICK in the environment makes the container so."""
        if self.server.silent.is_set() or self.server.cut_off.is_set():
            self.no_answer()
            return
        with self.server.worker:
            self.answer(500 if "SICK" in self.server.program.spec.environment else 200, b"", {})

    def do_POST(self) -> None:
        """/invocations; with STUCK in the environment it answers nothing, with STATUS always that."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.say(f"got {body[:100].decode()}")
        if self.server.cut_off.is_set() or "STUCK" in self.server.program.spec.environment:
            self.no_answer()
            return
        if "STATUS" in self.server.program.spec.environment:
            self.answer(int(self.server.program.spec.environment["STATUS"]), b"as it always does", {})
            return
        with self.server.worker:
            self.obey(body)

    def obey(self, body: bytes) -> None:
        """Do what the body says, and answer."""
        if body.startswith(b"status "):
            self.answer(int(body[7:]), b"the container's reason", {})
        elif body.startswith(b"work "):
            if self.server.closed_within(float(body[5:])):
                self.close_connection = True
            else:
                self.echo(body)
        elif body == b"large":
            self.answer(200, bytes(7_000_000), {})
        elif body in (b"stream", b"stream and hang up"):
            self.stream(whole=body == b"stream")
        elif body == b"hang up":
            self.close_connection = True
        elif body == b"say nothing":
            self.no_answer()
        elif body in self.commands():
            self.close_connection = True  # its thread would outlive the server
            self.answer(200, b"", {})
            self.commands()[body]()
        else:
            self.echo(body)

    def commands(self) -> Mapping[bytes, Callable[[], object]]:
        """What the container does after its answer."""
        server = self.server
        return {
            b"die": server.died.set,
            b"be silent": server.silent.set,
            b"recover": server.silent.clear,
            b"go on": server.go_on.set,
            b"refuse": server.refuse,
            b"be cut off": server.cut,
        }

    def stream(self, *, whole: bool) -> None:
        """A piece of an answer, and when it was told to go on the rest, or the end of the connection."""
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.close_connection = True
        while not self.server.go_on.wait(0.01):
            if self.server.over.is_set() or self.has_left():
                self.server.say("broken off")
                return
        if whole:
            self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def has_left(self) -> bool:
        """Whether the caller has closed the connection."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def no_answer(self) -> None:
        """Keep the caller waiting."""
        self.close_connection = True
        self.server.over.wait()

    def echo(self, body: bytes) -> None:
        """What came in, as JSON."""
        seen = {"headers": dict(self.headers), "body": body.decode(), "container": self.server.program.spec.name}
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


def echo_server(program: FakeProgram) -> int:
    """Serves until it is stopped, or told to die, which is exit code 7."""
    return serve_until(program, threading.Event())


def until_told(go: threading.Event) -> Behaviour:
    """Serves, and does not end by SIGTERM but by `go`."""

    def clings(program: FakeProgram) -> int:
        program.handles_sigterm = True
        return serve_until(program, go)

    return clings


def serve_until(program: FakeProgram, died: threading.Event) -> int:
    """As `echo_server`; `died` ends it too."""
    assert program.address
    program.say(f"serving {sorted(path.name for path in (program.base / 'model').iterdir())}")
    with EchoServer(program.address, program, died) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            while not died.is_set():
                program.sleep(0.05)
        finally:
            server.over.set()
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


class Load:
    """Callers that ask one request after the other until `stop`. What each request came to is in `answered` (by which
    container) or `failed`; `sent` counts them all."""

    def __init__(self, hosting: "Hosting", callers: int, body: bytes) -> None:
        self._hosting, self._body = hosting, body
        self._lock, self._enough = threading.Lock(), threading.Event()
        self.sent, self.answered, self.failed = 0, list[str](), list[ApiError]()
        self._threads = [threading.Thread(target=self._ask_on, daemon=True) for _ in range(callers)]
        for thread in self._threads:
            thread.start()

    def wait_for_more(self, count: int) -> None:
        """Until so many more requests were answered."""
        before = len(self.answered)
        until(lambda: len(self.answered) >= before + count, f"{count} more answers")

    def stop(self) -> None:
        """Let each caller finish its request."""
        self._enough.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        assert self.sent == len(self.answered) + len(self.failed)

    def _ask_on(self) -> None:
        while not self._enough.is_set():
            with self._lock:
                self.sent += 1
            try:
                container = self._hosting.container_of(self._body)
            except ApiError as error:
                self.failed.append(error)
            else:
                self.answered.append(container)


class Hosting:
    """All hosting services over one store, and shorthands for the calls that most tests make."""

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float],
        runtime: Runtime,
        supervisor: Supervisor,
        *,
        times: HealthTimes | None = None,
    ) -> None:
        self.folder, self.supervisor, self.now_s = folder / "endpoints", supervisor, clock
        self.aws, self.logs, self.store = FakeAws({DATA: archive(**{"model.json": "{}"})}), FakeLogs(), MemoryStore()
        self.models = Models(self.store, runtime, self.aws, clock)
        self.configs = EndpointConfigs(self.store, clock)
        self.endpoints = Endpoints(
            self.store,
            runtime,
            self.aws,
            self.logs,
            clock,
            self.folder,
            supervisor,
            times=times or HealthTimes(),
            elapsed=clock,
        )
        self.statuses: list[str] = []  # that endpoints had, one after the other
        self.store.watch(ENDPOINT, self._note_status)
        dispatcher, metrics = Dispatcher(self.store, self.endpoints, clock), EndpointMetrics(self.logs, clock)
        self.invoke = Invoke(dispatcher, metrics, clock)
        self.streams = ResponseStreams(dispatcher, metrics, clock)
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

    def containers(self, name: str, *containers: Mapping[str, Any], mode: str = "Serial", image: str = IMAGE) -> None:
        """A model of several containers."""
        self.models.create_model(
            SCOPE,
            {
                "ModelName": name,
                "Containers": [{"Image": image, **container} for container in containers],
                "InferenceExecutionConfig": {"Mode": mode},
                "ExecutionRoleArn": ROLE,
            },
        )

    def config(
        self,
        name: str,
        *variants: Mapping[str, Any],
        shadow: Mapping[str, Any] | None = None,
        capture: Mapping[str, Any] | None = None,
    ) -> None:
        """Each variant is completed to one instance of the model "model" under the name "AllTraffic", a shadow variant
        to one under the name "Shadow". `capture` is the DataCaptureConfig."""
        defaults = {
            "VariantName": "AllTraffic",
            "ModelName": "model",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
        }
        full = [{**defaults, **variant} for variant in variants or ({},)]
        request = {"EndpointConfigName": name, "ProductionVariants": full}
        shadows = [] if shadow is None else [{**defaults, "VariantName": "Shadow", **shadow}]
        members = {"ShadowProductionVariants": shadows, "DataCaptureConfig": capture}
        given = {member: value for member, value in members.items() if value}
        self.configs.create_endpoint_config(SCOPE, {**request, **given})

    def create(self, name: str = "end", config: str = "config") -> None:
        self.endpoints.create_endpoint(SCOPE, {"EndpointName": name, "EndpointConfigName": config})

    def deploy(self, *variants: Mapping[str, Any], **container: Any) -> None:
        """An endpoint "end" of a model "model", in service."""
        self.model("model", **container)
        self.config("config", *variants)
        self.create()
        self.wait_for("InService")

    def update(self, config: str, deployment: Mapping[str, Any] | None = None, **members: Any) -> None:
        """UpdateEndpoint of "end"."""
        request = {"EndpointName": "end", "EndpointConfigName": config, **members}
        given = {} if deployment is None else {"DeploymentConfig": deployment}
        self.endpoints.update_endpoint(SCOPE, {**request, **given})

    def scale(self, *changes: Mapping[str, Any], **change: Any) -> None:
        """UpdateEndpointWeightsAndCapacities of "end"; `change` is one of the variant "AllTraffic"."""
        wanted = [*changes, *([{"VariantName": "AllTraffic", **change}] if change else [])]
        request = {"EndpointName": "end", "DesiredWeightsAndCapacities": wanted}
        self.endpoints.update_endpoint_weights_and_capacities(SCOPE, request)

    def current(self) -> int:
        """The instances of the first variant that take requests."""
        return int(self.describe()["ProductionVariants"][0]["CurrentInstanceCount"])

    def describe(self, name: str = "end") -> dict[str, Any]:
        return self.endpoints.describe_endpoint(SCOPE, {"EndpointName": name})

    def ref(self, name: str = "end") -> Ref:
        return Ref(SCOPE, ENDPOINT, name)

    def status(self, name: str = "end") -> str:
        record = self.store.get(self.ref(name))
        return str(record["EndpointStatus"]) if record else "gone"

    def wait_for(self, status: str, name: str = "end") -> None:
        until(lambda: self.status(name) == status, f"{name} {status}, but {self.status(name)}")

    def ask(self, body: bytes = b"hello", **members: Any) -> dict[str, Any]:
        return self.invoke.invoke_endpoint(SCOPE, {"EndpointName": "end", "Body": body, **members})

    def container_of(self, body: bytes = b"hello", **members: Any) -> str:
        """The name of the container that answers."""
        return str(json.loads(self.ask(body, **members)["Body"])["container"])

    @contextmanager
    def load(self, callers: int = 4, body: bytes = b"hello") -> Iterator[Load]:
        """Callers that are busy meanwhile."""
        load = Load(self, callers, body)
        try:
            yield load
        finally:
            load.stop()

    def wait_for_line(self, text: str) -> None:
        """Until a line of a log has it."""
        until(lambda: self.count_lines(text) > 0, f"the line {text}")

    def count_lines(self, text: str) -> int:
        """How many lines of all logs have it."""
        return sum(text in line for lines in [*self.logs.lines.values()] for line in [*lines])

    def _note_status(self, change: Change) -> None:
        status = change.after["EndpointStatus"] if change.after else "gone"
        if self.statuses[-1:] != [status]:
            self.statuses.append(status)

    def left(self) -> list[Path]:
        """Files that fleets left behind."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


class HostingEnvironment(Hosting):
    """On the fake runtime."""

    def __init__(
        self, folder: Path, clock: Callable[[], float], behaviours: Mapping[str, Behaviour], **options: Any
    ) -> None:
        supervisor = Supervisor()
        self.runtime = FakeRuntime({"serve": echo_server, "dies": dies, "mute": mute, **behaviours}, supervisor)
        supervisor.own(self.runtime.close)
        super().__init__(folder, clock, self.runtime, supervisor, **options)

    def tell(self, body: bytes, number: int = 0) -> None:
        """POST /invocations to the container that was started as the `number`-th, whether or not it is in service."""
        address = self.runtime.containers[number].address
        assert address
        client = HttpClient(address)
        client.request("POST", "/invocations", body=body, timeout_s=PATIENCE_S, max_bytes=1000)
        client.close()


@contextmanager
def hosting_environment(
    folder: Path,
    clock: Callable[[], float] = time.time,
    *,
    times: HealthTimes | None = None,
    **behaviours: Behaviour,
) -> Iterator[HostingEnvironment]:
    """It is closed afterwards, and left no folder and no thread."""
    made = HostingEnvironment(folder, clock, behaviours, times=times)
    try:
        yield made
    finally:
        made.supervisor.close()
        assert not made.folder.exists()
        assert made.supervisor.threads() == []
