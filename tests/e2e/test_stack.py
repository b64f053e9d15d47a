"""Start, status and stop as a user types them; nothing is left however it ends."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.conftest import CLIENT, Place, leftovers

SLEEPER = "from infra import hosts; hosts.choose(docker=False).start({port}, stays=False); input()"


def wait_until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_start_status_stop(place: Place, tmp_path: Path) -> None:
    assert place.run("status") == (1, "Nothing runs: make start, or in containers make up\n")
    code, output = place.run("start")
    assert code == 0, output
    assert f"AWS_ENDPOINT_URL=http://127.0.0.1:{place.port}" in output
    assert place.run("status") == (0, output)
    assert json.loads(place.where.record.read_text()).keys() == {"pid", "started", "port"}

    code, output = place.run("start")
    assert code == 1
    assert f"already runs on port {place.port}" in output

    running = place.host.status()
    assert running is not None
    assert place.host.check_loopback() == [f"127.0.0.1:{place.port}"]

    assert place.run("stop") == (0, "Stopped.\n")
    assert leftovers(tmp_path) == []
    assert place.run("stop") == (0, "Nothing ran.\n")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", place.port)) != 0
    assert not (place.where.state / "tmp").exists()


def test_a_stack_that_shall_not_stay_dies_with_its_parent_even_by_sigkill(place: Place, tmp_path: Path) -> None:
    code = SLEEPER.format(port=place.port)
    with subprocess.Popen([CLIENT, "-c", code], env=place.environ, stdin=subprocess.PIPE) as parent:
        wait_until(lambda: place.where.log.exists() and "Ready." in place.where.log.read_text())
        parent.kill()
    wait_until(lambda: leftovers(tmp_path) == [])


def test_interrupted_while_starting(place: Place, tmp_path: Path) -> None:
    with place.start("start") as process:
        wait_until(place.where.record.exists)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (130, "  Interrupted: everything was stopped.\n")
    assert leftovers(tmp_path) == []


def test_a_demo_that_cannot_begin_leaves_a_stack_that_runs_alone(place: Place) -> None:
    assert place.run("start")[0] == 0
    running = place.host.status()
    assert running is not None
    for more, reason in (({"DATA": "/nowhere"}, "There is no folder"), ({}, "already runs"), ({"PORT": "x"}, "no")):
        code, output = place.run("demo", **more)
        assert code == 1
        assert reason in output
        assert place.host.status() == running, output


def test_of_two_starts_at_once_one_is_refused_and_the_other_unharmed(place: Place) -> None:
    with place.start("start") as first:
        wait_until(place.where.record.exists)
        code, output = place.run("start")
        said, _ = first.communicate(timeout=60)
    assert code == 1
    assert "Another command is starting the stack" in output
    assert first.returncode == 0, said
    assert place.host.status() is not None
