"""Serving containers that misbehave, as real containers: they never answer, answer late, or die under load."""

import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import invoke
from tests.contract.docker_world import Proxy, World, unreachable
from tests.unit.plugin.fakes import FakeClock
from tests.unit.plugin.hosting_world import Hosting, until

CALLERS = 8
BROKEN_OFF = "ModelError: The container broke off the connection"
# PING is run at each GET /ping; a body steers POST /invocations.
SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pings = 0
    def log_message(self, *_): pass
    def do_GET(self):
        Handler.pings += 1
        print("asked")
        exec(os.environ["PING"])
        self.answer(b"")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"late": time.sleep(600)
        if body == b"die": os._exit(7)
        if body == b"work": time.sleep(0.02)
        self.answer(os.uname().nodename.encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
DEAF = "import socket; server = socket.create_server(('', 8080)); server.accept(); print('asked'); time.sleep(600)"
NOBODY = "print('asked'); time.sleep(600)"


class Stand(Hosting):
    """Endpoints on a Docker runtime of their own, under a clock that the test moves."""

    def __init__(self, image: str, folder: Path) -> None:
        self.clock, self.engine = FakeClock(), World(image, folder)
        self.proxy = Proxy(folder / "engine.sock")
        super().__init__(folder, self.clock, self.engine.new_runtime(url=self.proxy.url))

    def serve(self, source: str = SERVER, ping: str = "", **variant: int) -> None:
        """Create the endpoint "end"."""
        self.model("model", self.engine.image, Environment={"SOURCE": source, "PING": ping})
        self.config("config", {"ContainerStartupHealthCheckTimeoutInSeconds": 60, **variant})
        self.create()

    def healthy(self) -> int:
        return int(self.describe()["ProductionVariants"][0]["CurrentInstanceCount"])

    def outcome(self, body: bytes) -> str:
        """Who answered, or the code and the reason of the error."""
        try:
            answer: bytes = self.ask(body)["Body"]
        except ApiError as error:
            return f"{error.code}: {error.members.get('OriginalMessage', error.message)}"
        return answer.decode()

    def close(self) -> None:
        self.endpoints.close()
        self.engine.close()
        self.proxy.cut()


@pytest.fixture
def stand(docker_image: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Stand]:
    made = Stand(docker_image, tmp_path)
    yield made
    made.close()
    assert (made.engine.left(), made.left()) == ([], [])
    caplog.get_records("call").clear()  # they hold errors, and so the sockets that could not connect
    gc.collect()


@pytest.mark.parametrize(("source", "ping"), [(NOBODY, ""), (DEAF, ""), (SERVER, "time.sleep(3)")])
def test_a_container_that_does_not_answer_ping_in_time_fails_the_endpoint(stand: Stand, source: str, ping: str) -> None:
    stand.serve(source, ping)
    stand.wait_for_line("asked")
    assert stand.status() == "Creating"
    stand.clock.now += 61
    stand.wait_for("Failed")
    assert "did not answer GET /ping with 200 within 60 s" in stand.describe()["FailureReason"]
    assert (stand.engine.left(), stand.left()) == ([], [])


def test_a_ping_that_is_slow_at_first_is_asked_again(stand: Stand) -> None:
    stand.serve(ping="time.sleep(3 if Handler.pings == 1 else 0)")
    stand.wait_for("InService")


def test_an_answer_that_comes_too_late_is_a_model_error(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.serve()
    stand.wait_for("InService")
    monkeypatch.setattr(invoke, "TIMEOUT_S", 0.5)
    with pytest.raises(ApiError) as late:
        stand.ask(b"late")
    assert (late.value.code, late.value.status) == ("ModelError", 424)
    assert late.value.message.startswith('Received server error (0) from primary with message "Your invocation timed')
    assert late.value.members["OriginalStatusCode"] == 0
    assert stand.logs.values["Invocation5XXErrors"] == [1.0]
    monkeypatch.undo()
    assert ":" not in stand.outcome(b"hello")
    assert (stand.status(), stand.healthy()) == ("InService", 1)


def test_one_of_two_that_dies_under_load_costs_only_the_calls_that_it_had(stand: Stand) -> None:
    stand.serve(InitialInstanceCount=2)
    stand.wait_for("InService")
    dead, enough = threading.Event(), threading.Event()
    had, later = list[str](), list[str]()  # what calls came to, made before and after the death

    def call() -> None:
        while not enough.is_set():
            made = later if dead.is_set() else had
            made.append(stand.outcome(b"work"))

    with ThreadPoolExecutor(CALLERS) as pool:
        calls = [pool.submit(call) for _ in range(CALLERS)]
        until(lambda: len(had) > 10 * CALLERS, "load")
        assert stand.outcome(b"die").startswith(BROKEN_OFF)
        dead.set()
        until(lambda: stand.healthy() == 1, "its death is seen")
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
    stand.wait_for_line("restart 1 of 3")
    stand.clock.now += 1
    until(lambda: stand.healthy() == 2, "its return")
    assert stand.status() == "InService"
    assert len(stand.engine.left()) == 2
    assert len({stand.outcome(b"hello") for _ in range(4)}) == 2


def test_the_only_one_dies_again_and_again(stand: Stand) -> None:
    stand.serve()
    stand.wait_for("InService")
    for number, delay_s in enumerate((1, 2, 4, 0), start=1):
        with ThreadPoolExecutor(CALLERS) as pool:
            calls = [pool.submit(stand.outcome, body) for body in [b"work"] * (CALLERS - 1) + [b"die"]]
            outcomes = [call.result() for call in calls]
        assert outcomes[-1].startswith(BROKEN_OFF)
        if delay_s:
            until(lambda: stand.healthy() == 0, "its death is seen")
            assert stand.outcome(b"hello").startswith("ServiceUnavailable: No container of production variant")
            stand.wait_for_line(f"restart {number} of 3")
            stand.clock.now += delay_s
            until(lambda: stand.healthy() == 1, "its return")
    stand.wait_for("Failed")
    assert "exit code 7 and was restarted 3 times before" in stand.describe()["FailureReason"]
    assert (stand.engine.left(), stand.left()) == ([], [])


@unreachable
def test_an_engine_that_is_started_again_gets_its_endpoints_back(stand: Stand) -> None:
    stand.serve()
    stand.wait_for("InService")
    (before,) = stand.engine.left()
    stand.proxy.cut()
    until(lambda: stand.healthy() == 0, "the end of all that the engine ran")
    stand.wait_for_line("restart 1 of 3")
    stand.clock.now += 1
    stand.wait_for_line("it could not be started: Docker cannot start")
    assert stand.status() == "InService"
    stand.proxy.mend()
    stand.clock.now += 2
    until(lambda: stand.healthy() == 1, "its return")
    assert ":" not in stand.outcome(b"hello")
    assert before not in stand.engine.left()
    assert len(stand.engine.left()) == 1
