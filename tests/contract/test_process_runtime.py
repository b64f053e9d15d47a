"""What only processes have: descendants that hide, owners that are killed, files that leak, strangers next door."""

import ast
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec, Exit, ImageRefused, IsolationRefused, Mount, MountRefused
from stagemaker.runtime.process.child import Child
from stagemaker.runtime.process.labels import LABEL, Labels
from stagemaker.runtime.process.runtime import ProcessContainer, ProcessRuntime

LONG_S = 30
FAMILY = """
    # a child, a grandchild in a session of its own whose parent is gone, and both deaf to SIGTERM
    import os, signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = "os.write(1, b'deaf' + bytes([10]))"  # in one piece: both write at once
    sleep = f"import os, signal, time; signal.signal(15, signal.SIG_IGN); {line}; time.sleep(99)"
    deaf = [sys.executable, "-c", sleep]
    subprocess.Popen(deaf)
    subprocess.Popen(["sh", "-c", 'setsid "$0" "$@" & exit 0', *deaf]).wait()
"""


class ProcessEnvironment:
    """A process runtime with one image, whose program a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.base = folder, folder / "base"
        self.mark = uuid.uuid4().hex
        self.lines: list[str] = []
        python = folder / "env" / "trainer" / "bin" / "python"
        for path in (python.parent, folder / "containers" / "trainer", self.base):
            path.mkdir(parents=True)
        python.symlink_to(sys.executable)
        self.program = folder / "containers" / "trainer" / "train"
        self.runtime = self.new_runtime()

    def new_runtime(self) -> ProcessRuntime:
        return ProcessRuntime(self.folder / "containers", self.folder / "env", self.folder / "state", Supervisor())

    def start(
        self, source: str, *, credentials: Callable[[], Credentials] | None = None, **environment: str
    ) -> ProcessContainer:
        self.program.write_text(textwrap.dedent(source))
        variables = {"MARK": self.mark, **environment}
        spec = ContainerSpec("job", "stagemaker/trainer", ("train",), self.base, variables, credentials=credentials)
        return self.runtime.start(spec, self.lines.append)

    def marked(self) -> list[int]:
        """What runs of this test's containers: keepers, programs and descendants, wherever they went."""
        return [pid for pid in pids() if f"MARK={self.mark}".encode() in environ(pid)]


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def environ(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[ProcessEnvironment]:
    environment = ProcessEnvironment(tmp_path)
    yield environment
    environment.runtime.close()
    assert environment.marked() == []


def test_stop_leaves_no_descendant(environment: ProcessEnvironment) -> None:
    container = environment.start(FAMILY + "    time.sleep(99)\n")
    until(lambda: environment.lines == ["deaf", "deaf"])
    assert len(environment.marked()) == 4  # the keeper, the program, two deaf ones
    assert container.stop(0.05) == Exit(137)
    assert environment.marked() == []


def test_the_end_of_the_program_is_the_end_of_its_descendants(environment: ProcessEnvironment) -> None:
    container = environment.start(FAMILY + "    sys.exit(5)\n")
    assert container.wait(LONG_S) == Exit(5)
    assert environment.marked() == []


def test_only_a_process_itself_gets_the_credentials_of_its_role(environment: ProcessEnvironment) -> None:
    def issue() -> Credentials:
        return Credentials("arn:aws:iam::1:role/r", "FRESH", "secret", "token", time.time() + 3600)

    source = """
    import os, time
    names = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    print(*[os.environ[name] for name in names], "AWS_ACCESS_KEY_ID" in os.environ, flush=True)
    time.sleep(99)
"""
    static = {"AWS_ACCESS_KEY_ID": "STATIC", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x"}
    container = environment.start(source, credentials=issue, **static)
    until(lambda: len(environment.lines) == 1)
    address, token, has_static = environment.lines[0].split()
    assert has_static == "False"

    def ask(token: str) -> str:
        request = urllib.request.Request(address, headers={"Authorization": token})
        try:
            with urllib.request.urlopen(request, timeout=LONG_S) as answer:
                return str(json.load(answer)["AccessKeyId"])
        except urllib.error.HTTPError as error:
            error.close()
            return error.reason

    assert [ask(""), ask(f"{token}é"), ask(token)] == ["Bad Request", "Bad Request", "FRESH"]
    container.stop(0)
    assert ask(token) == "Bad Request"


def test_what_the_caller_asked_for_and_did_not_get_is_said(environment: ProcessEnvironment) -> None:
    source = "import os; print(os.environ['PYTHONPATH'].split(':')[1], os.environ['SAGEMAKER_BASE_DIR'])"
    container = environment.start(source, PYTHONPATH="/mine", SAGEMAKER_BASE_DIR="/elsewhere")
    assert container.wait(LONG_S) == Exit(0)
    assert environment.lines == [f"/mine {environment.base}"]
    assert container.notes == ("not taken from Environment, since the service sets it: SAGEMAKER_BASE_DIR",)


def test_folders_are_where_a_process_finds_them(environment: ProcessEnvironment) -> None:
    environment.runtime.check_mounts(["/opt/ml/input", "/opt/ml/checkpoints/x"])
    with pytest.raises(MountRefused, match="A folder at /state needs Docker: a process has folders below /opt/ml only"):
        environment.runtime.check_mounts(["/opt/ml/input", "/state"])
    with pytest.raises(IsolationRefused, match="Network isolation needs Docker"):
        environment.runtime.check_isolation()
    elsewhere = (Mount("/opt/ml/model", environment.folder / "other"),)
    spec = ContainerSpec("job", "stagemaker/trainer", ("train",), environment.base, mounts=elsewhere)
    environment.program.touch()
    with pytest.raises(ImageRefused, match="cannot be run so without Docker"):
        environment.runtime.start(spec, environment.lines.append)


def test_no_zombie_is_left(environment: ProcessEnvironment) -> None:
    environment.start(FAMILY).wait(LONG_S)
    try:
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        ended = None  # no child at all; another test's LocalStack may be one
    assert ended is None


def test_a_program_killed_by_a_signal(environment: ProcessEnvironment) -> None:
    assert environment.start("import os; os.kill(os.getpid(), 11)").wait(LONG_S) == Exit(139)


def test_a_keeper_that_is_killed_takes_everything_with_it(environment: ProcessEnvironment) -> None:
    container = environment.start(FAMILY + "    time.sleep(99)\n")
    until(lambda: environment.lines == ["deaf", "deaf"])
    os.kill(container.child.keeper_pid, signal.SIGKILL)
    assert container.wait(LONG_S) == Exit(137)
    assert environment.marked() == []


OWNER = """
import sys, threading
from pathlib import Path
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.process.runtime import ProcessRuntime
folder, mark = Path(sys.argv[1]), sys.argv[2]
runtime = ProcessRuntime(folder / "containers", folder / "env", folder / "state", Supervisor())
spec = ContainerSpec("job", "stagemaker/trainer", ("train",), folder / "base", {"MARK": mark})
container = runtime.start(spec, lambda line: print(container.child.keeper_pid, flush=True))
threading.Event().wait()
"""


def start_owner(environment: ProcessEnvironment) -> tuple[subprocess.Popen[str], int]:
    """Another process with a runtime over the same state and a family in it, and the number of its keeper."""
    environment.program.write_text(textwrap.dedent(FAMILY + "    time.sleep(99)\n"))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(environment.folder), environment.mark],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    keepers = {int(owner.stdout.readline()) for _ in range(2)}
    return owner, keepers.pop()


def test_an_owner_killed_by_sigkill_leaves_no_process(environment: ProcessEnvironment) -> None:
    owner, _ = start_owner(environment)
    assert temporary_folders(environment)
    with owner:
        owner.kill()
    until(lambda: environment.marked() == [])
    assert not temporary_folders(environment)
    environment.runtime.sweep()
    assert not temporary_folders(environment)


def test_sweep_kills_what_a_killed_owner_and_keeper_left_behind(environment: ProcessEnvironment) -> None:
    owner, keeper = start_owner(environment)
    with owner:
        os.kill(keeper, signal.SIGSTOP)  # so that it does not outlive its owner by the moment that it needs
        owner.kill()
    os.kill(keeper, signal.SIGKILL)
    until(lambda: len(environment.marked()) == 2)  # the deaf ones; the kernel ended the program
    assert temporary_folders(environment)
    assert environment.runtime.sweep() == 1
    assert environment.marked() == []
    assert not temporary_folders(environment)
    assert environment.runtime.sweep() == 0


def test_sweep_kills_no_stranger(environment: ProcessEnvironment) -> None:
    labels = [None, "", "0" * 8 + "-1-1-job", "job"]
    environments = [{"MARK": environment.mark} | ({LABEL: label} if label is not None else {}) for label in labels]
    strangers = [subprocess.Popen(["sleep", "99"], env=os.environ | e) for e in environments]
    try:
        assert environment.runtime.sweep() == 0
        assert [stranger.poll() for stranger in strangers] == [None] * 4
    finally:
        for stranger in strangers:
            stranger.kill()
            stranger.wait()


def temporary_folders(environment: ProcessEnvironment) -> list[Path]:
    return Labels(environment.folder / "state").folders()


def test_it_sees_a_clean_environment_and_no_file_of_ours(
    environment: ProcessEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_LOCALSTACK", "x")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    source = """
        import os, sys, tempfile, socket
        print(sorted(os.environ))
        print(sorted(os.listdir("/proc/self/fd")), repr(sys.stdin.read()))
        print(os.environ["HOME"] == os.getcwd() == os.environ["SAGEMAKER_BASE_DIR"], os.environ["PYTHONPATH"])
        socket.socket(socket.AF_UNIX).bind(tempfile.mktemp("x" * 30))
        """
    assert environment.start(source).wait(LONG_S) == Exit(0), environment.lines
    names = set(ast.literal_eval(environment.lines[0]))
    assert {"HOME", "LANG", "MARK", "PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "SAGEMAKER_BASE_DIR", "TMPDIR"} <= names
    assert not {"A_SECRET_OF_LOCALSTACK", "PYTHONWARNINGS", "SAGEMAKER_BIND_TO_PORT"} & names
    assert environment.lines[1] == "['0', '1', '2', '3'] ''"  # 3 is the listing itself
    assert environment.lines[2] == f"True {environment.folder}"
    assert not temporary_folders(environment)


def test_a_flood_of_output_is_read_to_the_end(environment: ProcessEnvironment) -> None:
    assert environment.start("for i in range(200_000): print(i)").wait(LONG_S) == Exit(0)
    assert environment.lines == [str(i) for i in range(200_000)]


def test_a_missing_environment_or_program(environment: ProcessEnvironment) -> None:
    environment.program.touch()
    with pytest.raises(ImageRefused, match="has no program 'serve'"):
        environment.runtime.start(
            ContainerSpec("x", "stagemaker/trainer", ("serve",), environment.base), environment.lines.append
        )
    (environment.folder / "env" / "trainer" / "bin" / "python").unlink()
    with pytest.raises(ApiError, match="environment 'trainer' is not installed"):
        environment.start("")


def test_an_environment_that_cannot_be_passed(environment: ProcessEnvironment) -> None:
    environment.program.touch()
    spec = ContainerSpec("x", "stagemaker/trainer", ("train",), environment.base, {"A": "nul\0"}, serves=True)
    with pytest.raises(ApiError, match="cannot start"):
        environment.runtime.start(spec, environment.lines.append)
    assert not temporary_folders(environment)


def test_starts_from_many_threads(environment: ProcessEnvironment) -> None:
    environment.program.write_text("import time; time.sleep(99)")
    spec = ContainerSpec("job", "stagemaker/trainer", ("train",), environment.base, serves=True)
    with ThreadPoolExecutor(10) as pool:
        containers = list(pool.map(lambda _: environment.runtime.start(spec, environment.lines.append), range(20)))
    assert len({container.address for container in containers}) == 20
    environment.runtime.close()
    assert {container.poll() for container in containers} == {Exit(137)}


def run_command(environment: ProcessEnvironment, *command: str, ends: list[str]) -> Child:
    """A command of this machine, such as a function is, which is told its temporary folder."""
    return environment.runtime.run(
        "command",
        command,
        folder=environment.base,
        environment=lambda temporary: {"MARK": environment.mark, "MINE": str(temporary)},
        on_line=environment.lines.append,
        on_end=lambda: ends.append("end"),
    )


def test_a_command_has_a_temporary_folder_until_its_end(environment: ProcessEnvironment) -> None:
    ends: list[str] = []
    child = run_command(environment, "/bin/sh", "-c", 'echo "$MINE"; touch "$MINE/file"; exit 5', ends=ends)
    assert child.wait(LONG_S) == Exit(5)
    assert Path(environment.lines[0]).name.startswith("stagemaker-")
    assert (ends, temporary_folders(environment)) == (["end"], [])


def test_close_kills_a_command_and_none_starts_after_it(environment: ProcessEnvironment) -> None:
    ends: list[str] = []
    child = run_command(environment, "/bin/sh", "-c", "echo ready; sleep 99", ends=ends)
    until(lambda: environment.lines == ["ready"])
    environment.runtime.close()
    assert (child.poll(), ends) == (Exit(137), ["end"])
    with pytest.raises(ApiError) as failure:
        run_command(environment, "/bin/true", ends=ends)
    assert (failure.value.code, failure.value.status) == ("ServiceUnavailable", 503)
    assert (ends, temporary_folders(environment)) == (["end"] * 2, [])


def test_a_command_that_cannot_be_started_has_ended(environment: ProcessEnvironment) -> None:
    ends: list[str] = []
    environment.base.rmdir()
    with pytest.raises(FileNotFoundError):
        run_command(environment, "/bin/true", ends=ends)
    assert (ends, temporary_folders(environment)) == (["end"], [])
