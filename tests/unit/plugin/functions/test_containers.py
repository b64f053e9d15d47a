"""Functions in containers of a fake runtime whose programs speak to the real Runtime API."""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from pathlib import Path
from types import SimpleNamespace

import pytest

from stagemaker.core.supervisor import Supervisor
from stagemaker.functions import environment as module
from stagemaker.functions.containers import Containers, function_spec
from stagemaker.functions.environment import Environment
from stagemaker.functions.exchange import Exchange, Invocation
from stagemaker.functions.program import Function, FunctionImage
from stagemaker.functions.runtime_api import RuntimeApi
from stagemaker.runtime.contract import ContainerSpec, Exit, ImageRefused, Mount, Usage
from stagemaker.runtime.fake import FakeContainer, FakeProgram, FakeRuntime
from stagemaker.runtime.ports import LOOPBACK

MIB = 2**20
IMAGE = FunctionImage("sha256:abc", ("boot",), ("main.handler",), "/srv")


def function(image: FunctionImage | None = IMAGE, code: Path | None = None) -> Function:
    return Function("f", "1", "main.handler" if code else "", code, 128, 5, {"A": "1"}, image)


class FakeFunctionContainer:
    """A fake's, seen as a function's."""

    hardware, address, published, base, notes = "", None, None, "", ()

    def __init__(self, inner: FakeContainer, ip: str) -> None:
        self.inner, self.spec, self.ip = inner, inner.spec, ip
        self.drained = 0

    @property
    def running(self) -> bool:
        return self.inner.poll() is None

    def poll(self) -> Exit | None:
        return self.inner.poll()

    def wait(self, timeout_s: float) -> Exit | None:
        return self.inner.wait(timeout_s)

    def stop(self, grace_s: float) -> Exit:
        return self.inner.stop(grace_s)

    def drain(self, timeout_s: float) -> bool:
        self.drained += 1
        return True

    def usage(self) -> Usage | None:
        return None

    def peak_memory_bytes(self) -> int:
        return 20 * MIB


class FakeFunctionRuntime:
    """A FunctionRuntime on which any image runs `behaviour`."""

    def __init__(self, behaviour: Callable[[FakeProgram], Exit | int], ip: str = LOOPBACK) -> None:
        self.fake, self.ip = FakeRuntime({"trainer": behaviour}), ip
        self.specs: list[ContainerSpec] = []
        self.containers: list[FakeFunctionContainer] = []

    def host(self) -> str:
        return LOOPBACK

    def host_name(self) -> str:
        return LOOPBACK

    def pin(self, image: str) -> str:
        return image

    def fetch(self, image: str) -> None:
        pass

    def start(self, spec: ContainerSpec, on_line: Callable[[str], None]) -> FakeFunctionContainer:
        if spec.image == "refused":
            raise ImageRefused("There is no program.")
        self.specs.append(spec)
        named = ContainerSpec(spec.name, "stagemaker/trainer", spec.command, None, spec.environment)
        self.containers.append(FakeFunctionContainer(self.fake.start(named, on_line), self.ip))
        return self.containers[-1]


def ask(program: FakeProgram, path: str, body: bytes | None = None) -> tuple[str, bytes]:
    url = f"http://{program.spec.environment['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/{path}"
    with urllib.request.urlopen(url, body, timeout=10) as answer:
        return answer.headers.get("Lambda-Runtime-Aws-Request-Id", ""), answer.read()


def echo(program: FakeProgram) -> int:
    while True:
        try:
            request_id, event = ask(program, "invocation/next")
        except OSError:
            return 3
        program.say(f"got {event.decode()}")
        if event == b'"exit"':
            return 7
        ask(program, f"invocation/{request_id}/response", event)


def idle(program: FakeProgram) -> int:
    program.sleep(60)
    return 0


def greedy(program: FakeProgram) -> Exit:
    ask(program, "invocation/next")
    return Exit(137, "It ran out of memory", out_of_memory=True)


def invoke(environment: Environment, event: str = "1") -> tuple[object, list[str]]:
    result = environment.invoke(Invocation("id-1", "arn", event.encode(), "trace"))
    return json.loads(result.payload), result.logs.splitlines()


def test_the_container_of_an_image() -> None:
    spec = function_spec(function(), "zips", "10.0.0.1:80")
    assert (spec.image, spec.entrypoint, spec.command) == ("sha256:abc", ("boot",), ("main.handler",))
    assert (spec.working_directory, spec.memory_mb, spec.function, spec.mounts) == ("/srv", 128, True, ())
    assert spec.environment == {"A": "1", "AWS_LAMBDA_RUNTIME_API": "10.0.0.1:80"}
    assert spec.name.startswith("lambda-f-")


def test_the_container_of_a_zip_file() -> None:
    spec = function_spec(function(None, Path("/code")), "zips", "10.0.0.1:80")
    assert (spec.image, spec.entrypoint, spec.command) == ("zips", None, ("main.handler",))
    assert (spec.working_directory, spec.mounts) == ("/var/task", (Mount("/var/task", Path("/code"), writable=False),))
    assert spec.environment["LAMBDA_TASK_ROOT"] == "/var/task"
    assert spec.environment["_HANDLER"] == "main.handler"


def test_invocations_and_the_end() -> None:
    runtime = FakeFunctionRuntime(echo)
    environment = Environment(function(), Containers(runtime, "zips", Supervisor()), clock=lambda: 0.0)
    assert environment.start() is None
    answer, lines = invoke(environment, '{"a": 1}')
    assert answer == {"a": 1}
    assert lines[:3] == ["START RequestId: id-1 Version: 1", 'got {"a": 1}', "END RequestId: id-1"]
    assert "\tMemory Size: 128 MB\tMax Memory Used: 20 MB\t" in lines[3]
    assert runtime.containers[0].drained == 2  # after the initialisation, after the invocation
    error, lines = invoke(environment, '"exit"')
    assert error == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: id-1 Error: Runtime exited with error: exit status 7",
    }
    assert invoke(environment, "2")[0] == 2
    assert len(runtime.specs) == 2
    invoke(environment, '"exit"')  # a fake that waits for an answer cannot be killed
    environment.stop()
    assert all(container.poll() for container in runtime.containers)


def test_the_duration_ends_with_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = FakeFunctionRuntime(echo)

    def now() -> float:  # a drain takes 100 s
        return time.monotonic() + 100 * sum(container.drained for container in runtime.containers)

    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=now))
    environment = Environment(function(), Containers(runtime, "zips", Supervisor()), clock=lambda: 0.0)
    environment.start()
    report = invoke(environment)[1][3]
    found = re.search(r"\tDuration: ([\d.]+) ms.*\tInit Duration: ([\d.]+) ms", report)
    assert found
    assert max(float(found[1]), float(found[2])) < 5000  # 5 s: the function's timeout
    invoke(environment, '"exit"')
    environment.stop()


def test_a_start_that_fails_half_way_leaves_nothing() -> None:
    runtime = FakeFunctionRuntime(idle)
    api, ended = RuntimeApi(LOOPBACK, Exchange(), Supervisor()), list[str]()
    api.admit(LOOPBACK)  # so that a second time raises
    with pytest.raises(InvalidStateError):
        Containers(runtime, "zips", Supervisor()).start(function(), api, print, lambda: ended.append("end"))
    assert runtime.containers[0].poll() == Exit(137)
    assert ended == ["end"]
    api.close()


def test_a_stranger_gets_no_invocation() -> None:
    runtime = FakeFunctionRuntime(echo, ip="10.9.9.9")  # what asks is not there
    environment = Environment(function(), Containers(runtime, "zips", Supervisor()))
    assert environment.start()
    assert runtime.containers[0].wait(10) == Exit(3)
    environment.stop()


def test_out_of_memory() -> None:
    environment = Environment(function(), Containers(FakeFunctionRuntime(greedy), "zips", Supervisor()))
    error, lines = invoke(environment)
    assert error == {
        "errorType": "Runtime.ExitError",
        "errorMessage": "RequestId: id-1 Error: Runtime exited with error: signal: killed",
    }
    assert "\tMax Memory Used: 128 MB\t" in lines[-1]


def test_a_program_that_is_missing() -> None:
    environment = Environment(
        function(FunctionImage("refused")), Containers(FakeFunctionRuntime(echo), "zips", Supervisor())
    )
    assert environment.start()
    error, lines = invoke(environment)
    assert error == {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": "RequestId: id-1 Error: There is no program.",
    }
    assert lines[-1].endswith("\tStatus: error\tError Type: Runtime.InvalidEntrypoint\t")


def test_a_stopped_environment_starts_nothing() -> None:
    runtime = FakeFunctionRuntime(echo)
    environment = Environment(function(), Containers(runtime, "zips", Supervisor()))
    environment.stop()
    with pytest.raises(RuntimeError, match="was stopped"):
        invoke(environment)
    assert runtime.specs == []
