"""Serving containers that misbehave, as real containers: they never answer, answer late, or die under load."""

import gc
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import invoke
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.multi_model import model_name
from tests.contract.docker_environment import client, unreachable
from tests.contract.docker_hosting import SERVER, DockerHosting, docker_hosting
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.hosting_environment import archive, until

CALLERS = 8
BROKEN_OFF = "ModelError: The container broke off the connection"
# Of several models: an invocation answers where its model lies, and what is in it.
MODELS = """
import http.server, json
urls = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self): self.answer(b"{}")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/models":
            model = json.loads(body)
            urls[model["model_name"]] = model["url"]
            return self.answer(b"{}")
        url = urls[self.path.split("/")[2]]
        self.answer(url.encode() + b" " + pathlib.Path(url, "weights.txt").read_bytes())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
# It answers what it reaches of the addresses that it is sent, and the names of AWS's variables that it has.
ISOLATED = """
import http.server, socket
def reach(address):
    host, port = address.split(":")
    try:
        with socket.create_connection((host, int(port)), 5): return "reached"
    except OSError as error: return type(error).__name__
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self): self.answer("")
    def do_POST(self):
        addresses = self.rfile.read(int(self.headers["Content-Length"])).decode().split()
        self.answer(" ".join([*map(reach, addresses), *(name for name in os.environ if name.startswith("AWS_"))]))
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
DEAF = "import socket; server = socket.create_server(('', 8080)); server.accept(); print('asked'); time.sleep(600)"
NOBODY = "print('asked'); time.sleep(600)"


@pytest.fixture
def times() -> HealthTimes:
    return HealthTimes()


@pytest.fixture
def hosting(
    docker_image: str, tmp_path: Path, times: HealthTimes, caplog: pytest.LogCaptureFixture
) -> Iterator[DockerHosting]:
    with docker_hosting(docker_image, tmp_path, times) as made:
        yield made
    caplog.get_records("call").clear()  # they hold errors, and so the sockets that could not connect
    gc.collect()


@pytest.mark.parametrize(("source", "ping"), [(NOBODY, ""), (DEAF, ""), (SERVER, "time.sleep(3)")])
def test_a_container_that_does_not_answer_ping_in_time_fails_the_endpoint(
    hosting: DockerHosting, source: str, ping: str
) -> None:
    hosting.serve(source, ping)
    hosting.wait_for_line("asked")
    assert hosting.status() == "Creating"
    hosting.clock.now += 61
    hosting.wait_for("Failed")
    assert "did not answer GET /ping with 200 within 60 s" in hosting.describe()["FailureReason"]
    assert (hosting.engine.left(), hosting.left()) == ([], [])


def test_a_ping_that_is_slow_at_first_is_asked_again(hosting: DockerHosting) -> None:
    hosting.serve(ping="time.sleep(3 if Handler.pings == 1 else 0)")
    hosting.wait_for("InService")


def test_an_answer_that_comes_too_late_is_a_model_error(
    hosting: DockerHosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosting.serve()
    hosting.wait_for("InService")
    monkeypatch.setattr(invoke, "TIMEOUT_S", 0.5)
    with pytest.raises(ApiError) as late:
        hosting.ask(b"late")
    assert (late.value.code, late.value.status) == ("ModelError", 424)
    assert late.value.message.startswith('Received server error (0) from primary with message "Your invocation timed')
    assert late.value.members["OriginalStatusCode"] == 0
    assert hosting.logs.values["Invocation5XXErrors"] == [1.0]
    monkeypatch.undo()
    assert ":" not in hosting.outcome(b"hello")
    assert (hosting.status(), hosting.current()) == ("InService", 1)


def test_one_of_two_that_dies_under_load_costs_only_the_calls_that_it_had(hosting: DockerHosting) -> None:
    hosting.serve(InitialInstanceCount=2)
    hosting.wait_for("InService")
    dead, enough = threading.Event(), threading.Event()
    had, later = list[str](), list[str]()  # what calls came to, made before and after the death

    def call() -> None:
        while not enough.is_set():
            made = later if dead.is_set() else had
            made.append(hosting.outcome(b"work"))

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call) for _ in range(CALLERS)]
        until(lambda: len(had) > 10 * CALLERS, "load")
        assert hosting.outcome(b"die").startswith(BROKEN_OFF)
        dead.set()
        until(lambda: hosting.current() == 1, "its death is seen")
        until(lambda: len(later) > 10 * CALLERS, "load on the other")
        enough.set()
        for called in calls:
            called.result()  # some seconds later, for those who looked for it where nobody is any more
    assert {what for what in had if ":" in what} <= {
        BROKEN_OFF + ": ConnectionResetError.",
        BROKEN_OFF + ": RemoteDisconnected.",
    }
    assert sum(":" in what for what in had) < CALLERS
    assert not [what for what in later if ":" in what]
    hosting.wait_for_line("restart 1 of 3")
    hosting.clock.now += 1
    until(lambda: hosting.current() == 2, "its return")
    assert hosting.status() == "InService"
    assert len(hosting.engine.left()) == 2
    assert len({hosting.outcome(b"hello") for _ in range(4)}) == 2


def test_a_serverless_container_has_its_memory_and_goes_when_nobody_calls(hosting: DockerHosting) -> None:
    source = SERVER.replace('if body == b"die"', 'if body == b"fill": b"x" * (2 << 30)\n        if body == b"die"')
    hosting.model("model", hosting.engine.image, Environment={"SOURCE": source, "PING": ""})
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    variant = {"VariantName": "AllTraffic", "ModelName": "model", "ServerlessConfig": serverless}
    request = {"EndpointConfigName": "config", "ProductionVariants": [variant]}
    hosting.configs.create_endpoint_config(SCOPE, request)
    hosting.create()
    hosting.wait_for("InService")
    first = hosting.container_of()
    with closing(client()) as engine:
        limits = engine.inspect_container(first)["HostConfig"]
    assert limits["Memory"] == limits["MemorySwap"] == 1 << 30
    assert hosting.outcome(b"fill").startswith(BROKEN_OFF)
    assert hosting.container_of() != first
    with hosting.load(2, b"work") as load:
        until(lambda: len(set(load.answered)) == 2, "two containers")
    assert load.failed == []
    hosting.clock.now += 300
    until(lambda: hosting.engine.left() == [], "the end of both")
    assert hosting.status() == "InService"
    assert hosting.container_of() not in {first, *load.answered}


def test_the_only_one_dies_again_and_again(hosting: DockerHosting) -> None:
    hosting.serve()
    hosting.wait_for("InService")
    for number, delay_s in enumerate((1, 2, 4, 0), start=1):
        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(hosting.outcome, body) for body in [b"work"] * (CALLERS - 1) + [b"die"]]
            outcomes = [call.result() for call in calls]
        assert outcomes[-1].startswith(BROKEN_OFF)
        if delay_s:
            until(lambda: hosting.current() == 0, "its death is seen")
            assert hosting.outcome(b"hello").startswith("ServiceUnavailable: No container of production variant")
            hosting.wait_for_line(f"restart {number} of 3")
            hosting.clock.now += delay_s
            until(lambda: hosting.current() == 1, "its return")
    hosting.wait_for("Failed")
    assert "exit code 7 and was restarted 3 times before" in hosting.describe()["FailureReason"]
    assert (hosting.engine.left(), hosting.left()) == ([], [])


def test_a_restart_runs_the_image_that_the_tag_meant_at_first(hosting: DockerHosting) -> None:
    name = f"{hosting.engine.network}:1"  # no other test's
    with closing(client()) as engine:
        engine.tag(hosting.engine.image, name)
        try:
            hosting.serve(image=name)
            hosting.wait_for("InService")
            engine.import_image_from_data(b"", hosting.engine.network, "1")  # an image without any program
            dead = hosting.container_of()
            hosting.outcome(b"die")
            hosting.wait_for_line("restart 1 of 3")
            hosting.clock.now += 1
            until(lambda: hosting.current() == 1, "its return")
            assert hosting.container_of() != dead
            (image,) = hosting.describe()["ProductionVariants"][0]["DeployedImages"]
            digest = engine.inspect_image(hosting.engine.image)["Id"]  # type: ignore[no-untyped-call]
            assert (image["SpecifiedImage"], image["ResolvedImage"]) == (name, f"{hosting.engine.network}@{digest}")
        finally:
            engine.remove_image(name)


def test_a_fleet_grows_and_shrinks_under_load_without_a_lost_request(hosting: DockerHosting) -> None:
    hosting.serve()
    hosting.wait_for("InService")
    with hosting.load(CALLERS, b"work") as load:
        load.wait_for_more(10 * CALLERS)
        for count in (3, 1):
            hosting.scale(DesiredInstanceCount=count)
            assert hosting.status() == "Updating"
            hosting.wait_for("InService")
            assert (hosting.current(), len(hosting.engine.left())) == (count, count)
            load.wait_for_more(10 * CALLERS)
            assert len(set(load.answered[-3 * CALLERS :])) == count
    assert load.failed == []
    assert load.sent == len(load.answered)
    assert len(set(load.answered)) == 3


@pytest.mark.parametrize("times", [HealthTimes(ping_every_s=0.5, answer_s=0.5)])
def test_one_of_two_that_loses_its_network_costs_only_the_calls_that_it_had(
    hosting: DockerHosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invoke, "TIMEOUT_S", 3.0)
    hosting.serve(InitialInstanceCount=2)
    hosting.wait_for("InService")
    cut_off = hosting.engine.left()[0].removeprefix("/")
    with hosting.load(CALLERS, b"work") as load:
        load.wait_for_more(10 * CALLERS)
        with closing(client()) as engine:
            (network,) = engine.inspect_container(cut_off)["NetworkSettings"]["Networks"]
            engine.disconnect_container_from_network(cut_off, network)
        until(lambda: hosting.current() == 1, "it is late")
        load.wait_for_more(10 * CALLERS)
        hosting.wait_for_line("it did not answer GET /ping with 200 in time")
        hosting.clock.now += 1
        until(lambda: hosting.current() == 2, "another in its place")
        load.wait_for_more(10 * CALLERS)
    assert load.sent == len(load.answered) + len(load.failed)
    assert len(load.failed) <= CALLERS
    assert {error.code for error in load.failed} <= {"ModelError"}
    assert len(set(load.answered[-3 * CALLERS :])) == 2
    assert (hosting.status(), len(hosting.engine.left())) == ("InService", 2)
    assert f"/{cut_off}" not in hosting.engine.left()


@unreachable
def test_an_engine_that_is_started_again_gets_its_endpoints_back(hosting: DockerHosting) -> None:
    hosting.serve()
    hosting.wait_for("InService")
    (before,) = hosting.engine.left()
    hosting.proxy.cut()
    until(lambda: hosting.current() == 0, "the end of all that the engine ran")
    hosting.wait_for_line("restart 1 of 3")
    hosting.clock.now += 1
    hosting.wait_for_line("it could not be started: Docker cannot start")
    assert hosting.status() == "InService"
    hosting.proxy.mend()
    hosting.clock.now += 2
    until(lambda: hosting.current() == 1, "its return")
    assert ":" not in hosting.outcome(b"hello")
    assert before not in hosting.engine.left()
    assert len(hosting.engine.left()) == 1


def test_a_container_finds_the_models_that_are_fetched_after_its_start(hosting: DockerHosting) -> None:
    hosting.aws.objects["s3://bucket/models/a"] = archive(**{"weights.txt": "weights"})
    container = {"Mode": "MultiModel", "ModelDataUrl": "s3://bucket/models/", "Environment": {"SOURCE": MODELS}}
    hosting.model("model", hosting.engine.image, **container)
    hosting.config("config")
    hosting.create()
    hosting.wait_for("InService")
    folder = f"/opt/ml/models/{model_name('s3://bucket/models/a')}/model"
    assert hosting.ask(TargetModel="a")["Body"].decode() == f"{folder} weights"


def test_an_isolated_model_is_called_and_reaches_nothing(hosting: DockerHosting) -> None:
    container = {"Image": hosting.engine.image, "Environment": {"SOURCE": ISOLATED}}
    model = {"ModelName": "model", "ExecutionRoleArn": ROLE, "PrimaryContainer": container}
    hosting.models.create_model(SCOPE, {**model, "EnableNetworkIsolation": True})
    hosting.config("config", {"InitialInstanceCount": 2})
    hosting.create()
    hosting.wait_for("InService")
    with socket.create_server((hosting.engine.runtime.host(), 0)) as machine:
        port = machine.getsockname()[1]
        with closing(client()) as engine:
            inspected = [engine.inspect_container(name)["NetworkSettings"] for name in hosting.engine.left()]
        peers = [network["IPAddress"] for each in inspected for network in each["Networks"].values()]
        assert len(set(peers)) == 2
        addresses = [f"{hosting.engine.runtime.host()}:{port}", "192.0.2.1:80", "example.com:80"]
        addresses += [f"{peer}:8080" for peer in peers]
        answers = {hosting.container_of(" ".join(addresses).encode()) for _ in range(4)}
    own = "OSError OSError gaierror"  # no route to the machine or the internet, and no names
    # Each reaches itself alone, and has no credentials.
    assert answers == {f"{own} reached OSError AWS_REGION", f"{own} OSError reached AWS_REGION"}
