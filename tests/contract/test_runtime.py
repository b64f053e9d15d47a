"""The contract of a Runtime, over every implementation: what stands on one may trust what is written here.

Each program is written twice, as a Python script for a process or a container and as a function for the fake.
"""

import http.server
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BASE, Container, ContainerSpec, Exit, ImageRefused, Mount, Runtime
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.runtime.fake import FakeProgram, FakeRuntime
from stagemaker.runtime.process.runtime import ProcessRuntime
from stagemaker.settings import DockerSettings
from tests.contract.docker_image import docker_url
from tests.unit.plugin.polling import until

LONG_S = 30  # for what happens within a second unless something is broken
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer:latest"


def hello(program: FakeProgram) -> int:
    program.say("one")
    program.say("two")
    return 3


def dirty(program: FakeProgram) -> int:
    program.write(b"\xff\xfe caf\xc3\xa9\r\n\n" + b"x" * 200_000 + b"\nno line end")
    return 0


def waits(program: FakeProgram) -> int:
    program.say("ready")
    program.sleep(LONG_S)
    return 0


def polite(program: FakeProgram) -> int:
    program.handles_sigterm = True
    program.say("ready")
    program.sleep(LONG_S)
    program.say("bye")
    return 0


def stubborn(program: FakeProgram) -> int:
    program.handles_sigterm = True
    program.say("ready")
    while True:
        program.sleep(LONG_S)


def surroundings(program: FakeProgram) -> int:
    program.say(program.spec.environment["GREETING"])
    program.say((program.base / "input.txt").read_text())
    program.say(str(program.base))
    (program.base / "output.txt").write_text("made")
    return 0


def serves(program: FakeProgram) -> int:
    assert program.address
    with http.server.ThreadingHTTPServer(program.address, http.server.SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            program.say("ready")
            program.sleep(LONG_S)
        finally:
            server.shutdown()
    return 0


FAKES = {f.__name__: f for f in (hello, dirty, waits, polite, stubborn, surroundings, serves)}
SCRIPTS = {
    "hello": "print('one'); print('two', file=sys.stderr); sys.exit(3)",
    "dirty": r"os.write(1, b'\xff\xfe caf\xc3\xa9\r\n\n' + b'x' * 200_000 + b'\nno line end')",
    "waits": "print('ready'); time.sleep(30)",
    "polite": "signal.signal(15, lambda *_: (print('bye'), sys.exit(0))); print('ready'); time.sleep(30)",
    "stubborn": "signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(30)",
    "surroundings": """
base = pathlib.Path(os.environ.get('SAGEMAKER_BASE_DIR', '/opt/ml'))
print(os.environ['GREETING']); print((base / 'input.txt').read_text()); print(base)
pathlib.Path('output.txt').write_text('made')
""",
    "serves": """
import http.server as h
address = os.environ.get('STAGEMAKER_BIND_HOST', ''), int(os.environ['SAGEMAKER_BIND_TO_PORT'])
server = h.ThreadingHTTPServer(address, h.SimpleHTTPRequestHandler); print('ready'); server.serve_forever()
""",
}


@dataclass(frozen=True)
class RuntimeCase:
    """A runtime, its supervisor, and what differs between runtimes."""

    runtime: Runtime
    supervisor: Supervisor
    image: str = IMAGE
    taken: tuple[str, ...] = (
        "stagemaker/trainer", "localhost:5000/stagemaker/trainer:1.0", f"stagemaker/trainer@sha256:{'0' * 64}",
    )  # fmt: skip
    refusal: str = r"needs Docker: the process runtime runs only .*stagemaker/trainer"
    gone: str = "refused"  # what connecting to the address of an ended server says
    shares: bool = True  # containers of one instance share its network address
    one_stream: bool = True  # stdout and stderr come in the order in which they were written; else each by itself


def fake_case(folder: Path, request: pytest.FixtureRequest) -> RuntimeCase:
    supervisor, fakes = Supervisor(), {"trainer": lambda program: FAKES[program.spec.environment["PROGRAM"]](program)}
    return RuntimeCase(FakeRuntime(fakes, supervisor), supervisor)


def process_case(folder: Path, request: pytest.FixtureRequest) -> RuntimeCase:
    for image, command in (("trainer", "train"), ("serve", "serve")):
        python = folder / "env" / image / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.symlink_to(sys.executable)
        (folder / "containers" / image).mkdir(parents=True, exist_ok=True)
        script = "import os, pathlib, signal, sys, time\nexec(os.environ['SOURCE'])\n"
        (folder / "containers" / image / command).write_text(script)
    supervisor = Supervisor()
    runtime = ProcessRuntime(folder / "containers", folder / "env", folder / "state", supervisor)
    return RuntimeCase(runtime, supervisor, shares=False)


def docker_case(folder: Path, request: pytest.FixtureRequest) -> RuntimeCase:
    image: str = request.getfixturevalue("docker_image")
    settings = DockerSettings(f"stagemaker-test-{uuid.uuid4().hex[:8]}", "auto", "none", "", "", 5000)
    supervisor = Supervisor()
    return RuntimeCase(
        DockerRuntime(settings, folder / "state", None, supervisor, docker_url()),
        supervisor,
        image=image,
        taken=(image, f"{image}:latest"),
        refusal=r"build it here under this very name|give <repository>:<tag>",
        gone="No route|refused|timed out",  # its address is gone with it
        one_stream=False,
    )


class RuntimeEnvironment:
    """One runtime, and the containers that a test starts on it."""

    def __init__(self, case: RuntimeCase, folder: Path) -> None:
        self.case, self.runtime, self.supervisor, self.folder = case, case.runtime, case.supervisor, folder
        self.lines: list[str] = []
        self.ready = threading.Event()

    def spec(self, program: str, *, serves: bool = False, greeting: str = "") -> ContainerSpec:
        environment = {"PROGRAM": program, "SOURCE": SCRIPTS[program], "GREETING": greeting}
        mounts = (Mount(BASE, self.folder),)
        spec = ContainerSpec(f"test-{program}", self.case.image, ("train",), self.folder, environment, serves)
        return replace(spec, mounts=mounts)

    def start(self, program: str, *, serves: bool = False, greeting: str = "") -> Container:
        self.folder.mkdir(exist_ok=True)
        return self.runtime.start(self.spec(program, serves=serves, greeting=greeting), self.hear)

    def start_ready(self, program: str, *, serves: bool = False) -> Container:
        container = self.start(program, serves=serves)
        assert self.ready.wait(LONG_S)
        return container

    def hear(self, line: str) -> None:
        self.lines.append(line)
        if line == "ready":
            self.ready.set()


@pytest.fixture(params=[fake_case, process_case, docker_case])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RuntimeEnvironment]:
    make: Callable[[Path, pytest.FixtureRequest], RuntimeCase] = request.param
    case = make(tmp_path, request)
    yield RuntimeEnvironment(case, tmp_path / "base")
    case.runtime.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_gives_every_line_before_the_end(environment: RuntimeEnvironment) -> None:
    container = environment.start("hello")
    while container.poll() is None:  # poll, to see the lines in the very moment of the end
        pass
    assert (environment.lines if environment.case.one_stream else sorted(environment.lines)) == ["one", "two"]
    assert container.poll() == container.wait(0) == container.stop(0) == Exit(3)
    assert container.address is None
    assert container.spec.name == "test-hello"


def test_any_output_becomes_bounded_lines_of_text(environment: RuntimeEnvironment) -> None:
    assert environment.start("dirty").wait(LONG_S) == Exit(0)
    assert environment.lines[:2] == ["\ufffd\ufffd café", ""]
    assert environment.lines[-1] == "no line end"
    assert "".join(environment.lines[2:-1]) == "x" * 200_000
    assert max(map(len, environment.lines)) == 64 * 1024


def test_it_sees_its_folder_and_environment(environment: RuntimeEnvironment) -> None:
    environment.folder.mkdir()
    (environment.folder / "input.txt").write_text("given")
    container = environment.start("surroundings", greeting="hej")
    assert container.wait(LONG_S) == Exit(0)
    assert environment.lines == ["hej", "given", container.base]
    assert (environment.folder / "output.txt").read_text() == "made"


def test_wait_and_poll_say_none_while_it_runs(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("waits")
    assert container.poll() is None
    assert container.wait(0.01) is None


def test_stop_is_sigterm_which_ends_an_ordinary_program(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("waits")
    assert container.stop(LONG_S) == Exit(143)
    assert container.stop(LONG_S) == Exit(143)


def test_stop_lets_a_program_finish(environment: RuntimeEnvironment) -> None:
    assert environment.start_ready("polite").stop(LONG_S) == Exit(0)
    assert environment.lines == ["ready", "bye"]


def test_stop_kills_after_the_grace(environment: RuntimeEnvironment) -> None:
    assert environment.start_ready("stubborn").stop(0.05) == Exit(137)


def test_stop_from_many_threads(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("stubborn")
    ends: list[Exit] = []
    threads = [threading.Thread(target=lambda: ends.append(container.stop(0.05))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    assert ends == [Exit(137)] * 8


def test_containers_of_one_instance_serve_side_by_side_and_again(environment: RuntimeEnvironment) -> None:
    environment.folder.mkdir()
    if not environment.case.shares:
        with pytest.raises(ImageRefused, match=r"several containers \(Containers\) needs Docker"):
            environment.runtime.check_shared_instance([environment.case.image] * 2)
        return
    environment.runtime.check_shared_instance([environment.case.image] * 2)
    for _ in range(2):
        spec = replace(environment.spec("serves", serves=True), instance="i-1", group="end")
        containers = []
        for _ in range(3):
            environment.ready.clear()
            containers.append(environment.runtime.start(spec, environment.hear))
            assert environment.ready.wait(LONG_S)
        addresses = {container.address for container in containers if container.address}
        assert len(addresses) == 3
        assert len({host for host, _ in addresses}) == 1
        for host, port in addresses:
            with urllib.request.urlopen(f"http://{host}:{port}/", timeout=LONG_S) as answer:
                assert answer.status == 200
        for container in containers:
            container.stop(0)


def test_an_address_that_serves(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("serves", serves=True)
    assert container.address
    host, port = container.address
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=LONG_S) as answer:
        assert answer.status == 200
    container.stop(LONG_S)
    with pytest.raises(OSError, match=environment.case.gone):
        urllib.request.urlopen(f"http://{host}:{port}/", timeout=LONG_S)


def test_what_it_uses_is_told_until_its_end(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("waits")
    deadline_s = time.monotonic() + LONG_S
    while (usage := container.usage()) is None or not (usage.cpu_s > 0 and usage.memory_bytes > 0):
        assert time.monotonic() < deadline_s, usage
        time.sleep(0.05)
    assert usage.memory_bytes < usage.memory_limit_bytes
    container.stop(0)
    assert container.usage() is None


def test_addresses_differ(environment: RuntimeEnvironment) -> None:
    containers = [environment.start("waits", serves=True) for _ in range(5)]
    assert len({container.address for container in containers}) == 5


def test_a_failing_reader_does_not_stop_the_program(environment: RuntimeEnvironment) -> None:
    environment.folder.mkdir()
    heard: list[str] = []

    def fail(line: str) -> None:
        heard.append(line)
        raise RuntimeError("the reader's own fault")

    assert environment.runtime.start(environment.spec("hello"), fail).wait(LONG_S) == Exit(3)
    assert sorted(heard) == ["one", "two"]


@pytest.mark.parametrize(
    "image", ["nginx", "stagemaker/nothing:1", "other/trainer", "stagemaker/../trainer", "stagemaker/", "", "a/b/"]
)
def test_other_images_are_refused_with_a_sentence(environment: RuntimeEnvironment, image: str) -> None:
    with pytest.raises(ImageRefused, match=environment.case.refusal) as check:
        environment.runtime.check_image(image)
    assert check.value.code == "ValidationException"
    with pytest.raises(ImageRefused):
        environment.runtime.start(ContainerSpec("x", image, ("train",), environment.folder), environment.hear)


def test_our_images_are_taken_however_they_are_addressed(environment: RuntimeEnvironment) -> None:
    for image in environment.case.taken:
        environment.runtime.check_image(image)


def test_a_pinned_image_runs(environment: RuntimeEnvironment) -> None:
    environment.folder.mkdir()
    for image in environment.case.taken:
        spec = replace(environment.spec("hello"), image=image, pinned=environment.runtime.pin(image))
        assert environment.runtime.start(spec, environment.hear).wait(LONG_S) == Exit(3)


@pytest.mark.parametrize("image", ["stagemaker/nothing:1", ""])
def test_an_image_that_is_not_there_is_not_pinned(environment: RuntimeEnvironment, image: str) -> None:
    with pytest.raises(ImageRefused, match=environment.case.refusal):
        environment.runtime.pin(image)


def test_a_start_that_fails_leaves_nothing(environment: RuntimeEnvironment) -> None:
    before = open_files()
    missing = environment.folder / "missing"
    spec = replace(environment.spec("waits", serves=True), base_dir=missing, mounts=(Mount(BASE, missing),))
    with pytest.raises(ApiError) as failure:
        environment.runtime.start(spec, environment.hear)
    assert (failure.value.code, failure.value.status) == ("InternalFailure", 500)
    until(lambda: open_files() <= before, "the end of files")  # an idle connection to the engine may be closed, too


def test_ended_containers_hold_no_file_and_no_thread(environment: RuntimeEnvironment) -> None:
    before = open_files(), threading.active_count()
    for _ in range(3):
        environment.start("hello", serves=True).wait(LONG_S)
    until(lambda: open_files() <= before[0] and threading.active_count() <= before[1], "the end of files and threads")


def test_sweep_leaves_what_runs(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("waits")
    assert environment.runtime.sweep() == 0
    assert container.poll() is None


def test_close_kills_everything_and_refuses_to_start(environment: RuntimeEnvironment) -> None:
    containers = [environment.start_ready("stubborn"), environment.start("waits", serves=True)]
    environment.runtime.close()
    assert [container.poll() for container in containers] == [Exit(137), Exit(137)]
    environment.runtime.close()
    with pytest.raises(ApiError) as failure:
        environment.start("hello")
    assert (failure.value.code, failure.value.status) == ("ServiceUnavailable", 503)


def test_its_supervisor_ends_it_with_all_its_threads(environment: RuntimeEnvironment) -> None:
    container = environment.start_ready("stubborn")
    assert environment.supervisor.threads()
    environment.supervisor.own(environment.runtime.close)
    environment.supervisor.close()
    assert container.poll() == Exit(137)
    assert environment.supervisor.threads() == []


def test_nothing_starts_once_its_supervisor_is_closing(environment: RuntimeEnvironment) -> None:
    environment.supervisor.close()
    with pytest.raises(ApiError) as failure:
        environment.start("hello")
    assert (failure.value.code, failure.value.status) == ("ServiceUnavailable", 503)
