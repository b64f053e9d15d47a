"""Lambda functions with AWS's own runtime client, in real processes and in real containers, without LocalStack."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.role_session import RoleSession
from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.containers import Containers
from stagemaker.functions.environment import Environment, Result
from stagemaker.functions.exchange import Invocation
from stagemaker.functions.processes import Processes
from stagemaker.functions.program import Function, Launcher
from stagemaker.runtime.process.labels import Labels
from stagemaker.runtime.process.runtime import ProcessRuntime
from tests.contract.function_containers import containers, running
from tests.unit.plugin.fakes import FakeClock

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


class FunctionEnvironments:
    """Environments of one launcher, and the code that they run. `root` is where they see it; `left` is what is left."""

    def __init__(self, code: Path, root: str, launcher: Launcher, left: Callable[[], list[Any]]) -> None:
        self.code, self.root, self.launcher, self.left = code, root, launcher, left
        self.code.mkdir()
        (self.code / "main.py").write_text(HANDLER)
        self.made: list[Environment] = []

    def make(
        self,
        handler: str = "main.handler",
        timeout_s: float = 20,
        *,
        role: RoleSession | None = None,
        **environment: str,
    ) -> Environment:
        aws: Mapping[str, str] = {
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        }
        variables = {**aws, **environment}
        function = Function("f", "$LATEST", handler, self.code, 128, timeout_s, variables, role=role)
        self.made.append(Environment(function, self.launcher))
        return self.made[-1]


@pytest.fixture(scope="module")
def function_containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Containers]]:
    with containers(tmp_path_factory.mktemp("state")) as found:
        yield found


@pytest.fixture(params=["processes", "containers"])
def environments(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FunctionEnvironments]:
    code = tmp_path / "code"
    if request.param == "containers":
        network, launcher = request.getfixturevalue("function_containers")
        environments = FunctionEnvironments(code, "/var/task", launcher, lambda: running(network))
    else:
        supervisor, state = Supervisor(), tmp_path / "state"
        runtime = ProcessRuntime(tmp_path, tmp_path, state, supervisor)
        environments = FunctionEnvironments(
            code, str(code), Processes(runtime, PYTHON, supervisor), Labels(state).folders
        )
    yield environments
    for environment in environments.made:
        environment.stop()
    assert environments.left() == []
    assert sorted(path.name for path in environments.code.iterdir()) == ["main.py"]  # no bytecode in the shared folder


def invoke(environment: Environment, event: Any, request_id: str = "id-1") -> Result:
    return environment.invoke(Invocation(request_id, "arn:f", json.dumps(event).encode(), "Root=1"))


def test_a_result_and_its_log(environments: FunctionEnvironments) -> None:
    environment = environments.make(GREETING="hej")
    assert environment.start() is None
    result = invoke(environment, {"a": "å"})
    answer = json.loads(result.payload)
    assert not result.is_error
    assert (answer["event"], answer["id"], answer["arn"]) == ({"a": "å"}, "id-1", "arn:f")
    assert 15_000 < answer["left"] <= 20_000
    assert (answer["memory"], answer["version"], answer["cwd"]) == ("128", "$LATEST", environments.root)
    assert answer["env"]["GREETING"] == "hej"
    assert answer["env"]["LAMBDA_TASK_ROOT"] == environments.root
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


def test_it_stays_warm(environments: FunctionEnvironments) -> None:
    environment = environments.make()
    environment.start()
    results = [invoke(environment, n, f"id-{n}") for n in range(20)]
    assert [json.loads(result.payload)["count"] for result in results] == list(range(1, 21))
    assert "Init Duration" in results[0].logs
    assert "Init Duration" not in results[1].logs
    for n, result in enumerate(results[1:], 1):  # each has its own lines, however the machine is loaded
        start, end = f"START RequestId: id-{n} Version: $LATEST", f"END RequestId: id-{n}"
        assert result.logs.splitlines()[:3] == [start, f"hello {n}", end]


def test_an_environment_whose_credentials_end_soon_begins_anew_with_others(environments: FunctionEnvironments) -> None:
    clock, issued = FakeClock(), iter(range(1, 9))

    def issue() -> Credentials:
        return Credentials("arn:aws:iam::1:role/r", f"KEY{next(issued)}", "secret", "token", clock() + 12 * 3600)

    environment = environments.make(role=RoleSession(issue, clock))
    environment.start()
    found = []
    for hours in (0, 11.4, 0.2, 11.4):
        clock.now += hours * 3600
        answer = json.loads(invoke(environment, 1).payload)
        found.append((answer["env"]["AWS_ACCESS_KEY_ID"], answer["count"]))
    assert found == [("KEY1", 1), ("KEY1", 2), ("KEY2", 1), ("KEY2", 2)]


def test_an_error_has_its_type_and_stack_and_keeps_the_process(environments: FunctionEnvironments) -> None:
    environment = environments.make()
    environment.start()
    result = invoke(environment, "raise")
    error = json.loads(result.payload)
    assert result.is_error
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == ("ValueError", "no such dog", "id-1")
    assert "in handler" in error["stackTrace"][0]
    assert "[ERROR] ValueError: no such dog\nTraceback (most recent call last):" in result.logs
    assert json.loads(invoke(environment, 1).payload)["count"] == 2


def test_a_timeout_kills_everything_and_the_next_invocation_starts_again(environments: FunctionEnvironments) -> None:
    environment = environments.make(timeout_s=1)
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
    assert environments.left() == []
    assert json.loads(invoke(environment, 1).payload)["count"] == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [("exit", "exited with error: exit status 7"), ("exit 0", "exited without providing a reason")],
)
def test_a_process_that_ends_itself(environments: FunctionEnvironments, event: str, message: str) -> None:
    environment = environments.make()
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
def test_an_initialisation_that_fails(
    environments: FunctionEnvironments, handler: str, kind: str, message: str
) -> None:
    environment = environments.make(handler)
    payload = environment.start()
    assert payload
    error = json.loads(payload)
    assert (error["errorType"], error["errorMessage"]) == (kind, message)
    result = invoke(environment, 1)
    assert result.is_error
    assert json.loads(result.payload)["errorType"] == kind
    assert f"[ERROR] {kind}: {message}" in result.logs


def test_a_handler_that_never_gets_ready(environments: FunctionEnvironments) -> None:
    (environments.code / "main.py").write_text("import time; time.sleep(99)")
    result = invoke(environments.make(timeout_s=1), 1)
    assert json.loads(result.payload)["errorType"] == "Sandbox.Timedout"


def test_a_response_that_is_too_large(environments: FunctionEnvironments) -> None:
    environment = environments.make()
    environment.start()
    result = invoke(environment, "big")
    assert result.is_error
    assert json.loads(result.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size (7000002 bytes) exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert not invoke(environment, 1).is_error


def test_a_flood_of_output_is_bounded(environments: FunctionEnvironments) -> None:
    environment = environments.make()
    environment.start()
    result = invoke(environment, "flood")
    assert not result.is_error
    assert len(result.logs) < 500_000
    assert "lines were left out" in result.logs


def test_stop_ends_a_running_invocation(environments: FunctionEnvironments) -> None:
    environment = environments.make()
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
