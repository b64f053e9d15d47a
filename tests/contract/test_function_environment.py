"""Lambda functions with AWS's own runtime client, in real processes and in real containers, without LocalStack."""

import base64
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagemaker.functions.function_containers import Containers
from stagemaker.functions.function_environment import Environment, Result
from stagemaker.functions.function_processes import Processes
from stagemaker.functions.function_program import Function, Launcher
from stagemaker.functions.functions_api import (
    MAX_PAYLOAD_BYTES,
    Answer,
    InitError,
    Invocation,
    Ready,
    RuntimeApi,
    error,
)
from stagemaker.runtime.labels import Labels
from stagemaker.runtime.ports import LOOPBACK
from tests.contract.function_containers_world import containers, running

PYTHON = Path(__file__).parents[2] / ".stagemaker" / "env" / "lambda" / "bin" / "python"
HANDLER = """
import json, logging, os, subprocess, sys, time
print("loading")
count = 0

def handler(event, context):
    global count
    count += 1
    print("hello", event)
    if event == "raise":
        raise ValueError("no such dog")
    if event == "exit":
        os._exit(7)
    if event == "exit 0":
        sys.exit(0)
    if event == "sleep":
        subprocess.Popen(["sleep", "98"])
        time.sleep(97)
    if event == "big":
        return "x" * 7_000_000
    if event == "flood":
        print("y" * 20_000_000)
    return {
        "event": event, "count": count, "env": dict(os.environ), "cwd": os.getcwd(),
        "id": context.aws_request_id, "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb, "version": context.function_version,
    }
"""


class Stage:
    """Environments of one launcher, and the code that they run. `root` is where they see it; `left` is what is left."""

    def __init__(self, code: Path, root: str, launcher: Launcher, left: Callable[[], list[Any]]) -> None:
        self.code, self.root, self.launcher, self.left = code, root, launcher, left
        self.code.mkdir()
        (self.code / "main.py").write_text(HANDLER)
        self.environments: list[Environment] = []

    def make(self, handler: str = "main.handler", timeout_s: float = 20, **environment: str) -> Environment:
        aws: Mapping[str, str] = {
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        }
        function = Function("f", "$LATEST", handler, self.code, 128, timeout_s, {**aws, **environment})
        self.environments.append(Environment(function, self.launcher))
        return self.environments[-1]


@pytest.fixture(scope="module")
def function_containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Containers]]:
    with containers(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(params=["processes", "containers"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    code = tmp_path / "code"
    if request.param == "containers":
        network, launcher = request.getfixturevalue("function_containers")
        stage = Stage(code, "/var/task", launcher, lambda: running(network))
    else:
        labels = Labels(tmp_path / "state")
        stage = Stage(code, str(code), Processes(PYTHON, labels), labels.folders)
    yield stage
    for environment in stage.environments:
        environment.stop()
    assert stage.left() == []
    assert sorted(path.name for path in stage.code.iterdir()) == ["main.py"]  # no bytecode in the shared folder


def invoke(environment: Environment, event: Any, request_id: str = "id-1") -> Result:
    return environment.invoke(Invocation(request_id, "arn:f", json.dumps(event).encode(), "Root=1"))


def test_a_result_and_its_log(stage: Stage) -> None:
    environment = stage.make(GREETING="hej")
    assert environment.start() is None
    result = invoke(environment, {"a": "å"})
    answer = json.loads(result.payload)
    assert not result.is_error
    assert (answer["event"], answer["id"], answer["arn"]) == ({"a": "å"}, "id-1", "arn:f")
    assert 15_000 < answer["left"] <= 20_000
    assert (answer["memory"], answer["version"], answer["cwd"]) == ("128", "$LATEST", stage.root)
    assert answer["env"]["GREETING"] == "hej"
    assert answer["env"]["LAMBDA_TASK_ROOT"] == stage.root
    lines = result.logs.splitlines()
    assert lines[:4] == ["loading", "START RequestId: id-1 Version: $LATEST", "hello {'a': 'å'}", "END RequestId: id-1"]
    report = re.fullmatch(
        r"REPORT RequestId: id-1\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"
        r"Memory Size: 128 MB\tMax Memory Used: (\d+) MB\tInit Duration: [\d.]+ ms\t",
        lines[4],
    )
    assert report
    assert 5 < int(report[1]) < 100
    assert len(lines) == 5


def test_it_stays_warm(stage: Stage) -> None:
    environment = stage.make()
    environment.start()
    started = time.monotonic()
    results = [invoke(environment, n, f"id-{n}") for n in range(20)]
    assert (time.monotonic() - started) / 20 < 0.1
    assert [json.loads(result.payload)["count"] for result in results] == list(range(1, 21))
    assert "Init Duration" in results[0].logs
    assert "Init Duration" not in results[1].logs
    for n, result in enumerate(results[1:], 1):  # each has its own lines, however the machine is loaded
        start, end = f"START RequestId: id-{n} Version: $LATEST", f"END RequestId: id-{n}"
        assert result.logs.splitlines()[:3] == [start, f"hello {n}", end]


def test_an_error_has_its_type_and_stack_and_keeps_the_process(stage: Stage) -> None:
    environment = stage.make()
    environment.start()
    result = invoke(environment, "raise")
    error = json.loads(result.payload)
    assert result.is_error
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("ValueError", "no such dog", "id-1")
    assert "in handler" in error["stackTrace"][0]
    assert "[ERROR] ValueError: no such dog\nTraceback (most recent call last):" in result.logs
    assert json.loads(invoke(environment, 1).payload)["count"] == 2


def test_a_timeout_kills_everything_and_the_next_invocation_starts_again(stage: Stage) -> None:
    environment = stage.make(timeout_s=1)
    environment.start()
    result = invoke(environment, "sleep")
    assert json.loads(result.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: id-1 Error: Task timed out after 1.00 seconds",
    }
    assert result.is_error
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z id-1 Task timed out after 1.00 seconds\nEND", result.logs)
    assert "\tDuration: 1000.00 ms\t" in result.logs
    assert result.logs.endswith("\tStatus: timeout\t\n")
    assert stage.left() == []
    assert json.loads(invoke(environment, 1).payload)["count"] == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [("exit", "exited with error: exit status 7"), ("exit 0", "exited without providing a reason")],
)
def test_a_process_that_ends_itself(stage: Stage, event: str, message: str) -> None:
    environment = stage.make()
    environment.start()
    result = invoke(environment, event)
    error = {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: id-1 Error: Runtime {message}"}
    assert (result.is_error, json.loads(result.payload)) == (True, error)
    assert "\tStatus: error\tError Type: Runtime.ExitError\t" in result.logs
    assert json.loads(invoke(environment, 1).payload)["count"] == 1


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("main.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'main'"),
        (
            "missing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        (
            "nodot",
            "Runtime.MalformedHandlerName",
            "Bad handler 'nodot': not enough values to unpack (expected 2, got 1)",
        ),
    ],
)
def test_an_initialisation_that_fails(stage: Stage, handler: str, kind: str, message: str) -> None:
    environment = stage.make(handler)
    payload = environment.start()
    assert payload
    error = json.loads(payload)
    assert (error["errorType"], error["errorMessage"]) == (kind, message)
    result = invoke(environment, 1)
    assert result.is_error
    assert json.loads(result.payload)["errorType"] == kind
    assert f"[ERROR] {kind}: {message}" in result.logs


def test_a_handler_that_never_gets_ready(stage: Stage) -> None:
    (stage.code / "main.py").write_text("import time; time.sleep(99)")
    result = invoke(stage.make(timeout_s=1), 1)
    assert json.loads(result.payload)["errorType"] == "Sandbox.Timedout"


def test_a_response_that_is_too_large(stage: Stage) -> None:
    environment = stage.make()
    environment.start()
    result = invoke(environment, "big")
    assert result.is_error
    assert json.loads(result.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size (7000002 bytes) exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert not invoke(environment, 1).is_error


def test_a_flood_of_output_is_bounded(stage: Stage) -> None:
    environment = stage.make()
    environment.start()
    result = invoke(environment, "flood")
    assert not result.is_error
    assert len(result.logs) < 500_000
    assert "lines were left out" in result.logs


def test_stop_ends_a_running_invocation(stage: Stage) -> None:
    environment = stage.make()
    environment.start()
    results: list[Result] = []
    running = threading.Thread(target=lambda: results.append(invoke(environment, "sleep")))
    running.start()
    deadline = time.monotonic() + 20
    while "hello sleep" not in environment.logs():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    environment.stop()
    environment.stop()
    running.join(20)
    assert json.loads(results[0].payload)["errorType"] == "Runtime.ExitError"
    with pytest.raises(RuntimeError, match="was stopped"):
        invoke(environment, 1)


def request(
    api: RuntimeApi, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(api.address, timeout=10)
    try:
        connection.request(method, f"/2018-06-01/runtime/{path}", body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    api = RuntimeApi(LOOPBACK)
    api.admit(LOOPBACK)
    yield api
    api.close()


def test_the_api_takes_one_answer_to_the_right_invocation(api: RuntimeApi) -> None:
    assert request(api, "POST", "invocation/id-1/response", b"1")[0] == 400
    api.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert request(api, "GET", "invocation/next") == (200, b"event")
    assert request(api, "POST", "invocation/id-2/response", b"1")[0] == 400
    assert request(api, "POST", "invocation/id-1/response", b"1")[0] == 202
    assert request(api, "POST", "invocation/id-1/error", b"2")[0] == 400
    assert request(api, "POST", "init/error", b"3")[0] == 202
    assert [api.next_event(0) for _ in range(4)] == [Ready(), Answer(b"1", is_error=False), InitError(b"3"), None]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "nothing"), ("POST", "nothing"), ("POST", "invocation//response")]
)
def test_the_api_refuses_what_it_does_not_know(api: RuntimeApi, method: str, path: str) -> None:
    assert request(api, method, path)[0] in (400, 404)


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_the_api_refuses_web_pages(api: RuntimeApi, headers: dict[str, str]) -> None:
    assert request(api, "GET", "invocation/next", headers=headers)[0] == 403
    assert request(api, "POST", "init/error", headers=headers)[0] == 403
    assert api.next_event(0) is None


def connect(api: RuntimeApi) -> socket.socket:
    host, port = api.address.split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def send(api: RuntimeApi, data: bytes) -> bytes:
    """The answer to what is sent as it is, with the connection's end behind it."""
    with connect(api) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def chunked(api: RuntimeApi, what: str, body: bytes) -> bytes:
    """The first line of the answer."""
    head = f"POST /2018-06-01/runtime/{what} HTTP/1.1\r\nHost: {api.address}\r\nTransfer-Encoding: chunked\r\n\r\n"
    return send(api, head.encode() + body).partition(b"\r\n")[0]


LATE = b"Lambda-Runtime-Function-Error-Type: Late\r\n"
LATE_BODY = b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(b'{"errorType": "Late"}') + b"\r\n"
LIMIT = f"exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)"
TOO_LARGE = f"Response payload size ({MAX_PAYLOAD_BYTES + 1} bytes) {LIMIT}."


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b"3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\n\r\n", Answer(b"[1,2]", is_error=False)),
        (b"2\r\n[1\r\n0\r\n" + LATE + LATE_BODY + b"\r\n", Answer(b'{"errorType": "Late"}', is_error=True)),
        (
            b"2\r\n[1\r\n0\r\n" + LATE + b"\r\n",
            Answer(error("Late", "The function failed while it sent its response."), is_error=True),
        ),
        (
            b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_PAYLOAD_BYTES + 1, b"x" * (MAX_PAYLOAD_BYTES + 1)),
            Answer(error("Function.ResponseSizeTooLarge", TOO_LARGE), is_error=True),
        ),
    ],
)
def test_the_api_takes_chunks(api: RuntimeApi, body: bytes, answer: Answer) -> None:
    api.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert chunked(api, "invocation/id-1/response", body) == b"HTTP/1.1 202 Accepted"
    assert api.next_event(0) == answer
    assert chunked(api, "init/error", b"2\r\n{}\r\n0\r\n\r\n") == b"HTTP/1.1 202 Accepted"
    assert api.next_event(0) == InitError(b"{}")


@pytest.mark.parametrize("body", [b"x\r\n", b"-1\r\n", b"1\r\n12\r\n0\r\n\r\n", b"0\r\n" + b"A: b\r\n" * 33])
def test_the_api_takes_no_broken_chunks(api: RuntimeApi, body: bytes) -> None:
    api.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    assert chunked(api, "invocation/id-1/response", body) == b"HTTP/1.1 400 Bad Request"
    assert api.next_event(0) is None


@pytest.mark.parametrize("head", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_a_body_that_breaks_off_is_no_answer(api: RuntimeApi, head: str) -> None:
    api.offer(Invocation("id-1", "arn", b"event", "Root=1", 5))
    request = f"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\nHost: {api.address}\r\n{head}\r\n\r\n"
    assert send(api, request.encode() + b"4\r\n1") == b""
    assert api.next_event(0) is None


def test_the_api_does_not_wait_for_strangers() -> None:
    api = RuntimeApi(LOOPBACK)
    api.admit("127.0.0.2")
    with connect(api) as silent:
        assert silent.recv(1) == b""
    api.close()


def test_a_closed_api_lets_its_callers_go() -> None:
    api = RuntimeApi(LOOPBACK)
    api.admit(LOOPBACK)
    statuses: list[int] = []
    waiting = threading.Thread(target=lambda: statuses.append(request(api, "GET", "invocation/next")[0]))
    waiting.start()
    assert api.next_event(10) == Ready()
    api.close()
    waiting.join(10)
    assert statuses == [410]


def test_the_api_serves_nobody_but_the_program() -> None:
    api = RuntimeApi(LOOPBACK)
    answers: list[tuple[int, bytes]] = []
    asked = threading.Thread(target=lambda: answers.append(request(api, "GET", "invocation/next")))
    asked.start()
    assert api.next_event(0.1) is None  # it waits until somebody says where the program runs
    api.admit("127.0.0.2")
    asked.join(10)
    assert [status for status, _ in answers] == [403]
    assert request(api, "POST", "init/error")[0] == 403
    assert api.next_event(0) is None
    api.close()
