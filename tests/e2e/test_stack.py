"""Start, status and stop as a user types them. However the stack ends, nothing of it is left."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from infra.typed import make
from tests.e2e.environment import CLIENT, Environment, leftovers

START_AND_WAIT = "from infra import hosts; hosts.choose(docker=False).start({port}, stays=False); input()"


def wait_until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_start_status_stop(environment: Environment, tmp_path: Path) -> None:
    start, up = (make(target, environment.variables) for target in ("start", "up"))
    assert environment.run("status") == (1, f"Nothing runs: {start}, or in containers {up}\n")
    assert (start, up) == (
        f"PORT={environment.port} make start",
        f"STAGEMAKER_PROJECT=stagemaker-e2e PORT={environment.port} make up",
    )
    code, output = environment.run("start")
    assert code == 0, output
    assert f"AWS_ENDPOINT_URL=http://127.0.0.1:{environment.port}" in output
    assert environment.run("status") == (0, output)
    assert json.loads(environment.paths.record.read_text()).keys() == {"pid", "started", "port"}

    code, output = environment.run("start")
    assert code == 1
    assert f"already runs on port {environment.port}" in output

    running = environment.host.status()
    assert running is not None
    assert environment.host.check_loopback() == [f"127.0.0.1:{environment.port}"]

    assert environment.run("stop") == (0, "Stopped.\n")
    assert leftovers(tmp_path) == []
    assert environment.run("stop") == (0, "Nothing ran.\n")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", environment.port)) != 0
    assert not (environment.paths.state / "tmp").exists()


def test_a_stack_that_must_not_stay_ends_with_its_killed_parent(environment: Environment, tmp_path: Path) -> None:
    code = START_AND_WAIT.format(port=environment.port)
    with subprocess.Popen([CLIENT, "-c", code], env=environment.variables, stdin=subprocess.PIPE) as parent:
        wait_until(lambda: environment.paths.log.exists() and "Ready." in environment.paths.log.read_text())
        parent.kill()
    wait_until(lambda: leftovers(tmp_path) == [])


def test_an_interrupted_start_leaves_nothing(environment: Environment, tmp_path: Path) -> None:
    with environment.start("start") as process:
        wait_until(environment.paths.record.exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "  Interrupted: everything was stopped.\n")
    assert leftovers(tmp_path) == []


def test_a_demo_that_cannot_begin_does_not_stop_a_running_stack(environment: Environment) -> None:
    assert environment.run("start")[0] == 0
    running = environment.host.status()
    assert running is not None
    for more, reason in (({"DATA": "/nowhere"}, "There is no folder"), ({}, "already runs"), ({"PORT": "x"}, "no")):
        code, output = environment.run("demo", **more)
        assert code == 1
        assert reason in output
        assert environment.host.status() == running, output


def test_of_two_starts_at_once_one_is_refused_and_one_succeeds(environment: Environment) -> None:
    with environment.start("start") as first:
        wait_until(environment.paths.record.exists)
        code, output = environment.run("start")
        said, _ = first.communicate(timeout=60)
    assert code == 1
    assert "Another command is starting the stack" in output
    assert first.returncode == 0, said
    assert environment.host.status() is not None
