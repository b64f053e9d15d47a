"""A real LocalStack with the plugin, on a free port, over a state folder of the test's own."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra import digits, stack
from infra.clients import Clients, connect
from infra.paths import CHECKOUT, Paths, paths
from infra.stack import Running

CLIENT = paths({}).environments / "client" / "bin" / "python"
EACH = 40  # digits of a class: 28 to train, 6 to valid, 6 to test
EPOCHS = "--set=epochs=6"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leftovers(folder: Path) -> list[str]:
    """Every process that has to do with a folder: by its command line, its environment or its working directory."""
    found, needle = [], str(folder).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            known = command + (entry / "environ").read_bytes() + str((entry / "cwd").readlink()).encode()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or not ours
            continue
        if needle in known:
            found.append(f"{entry.name} {command.replace(bytes(1), b' ').decode()}")
    return found


@dataclass(frozen=True)
class Place:
    """Where a test's stack lives, and how to run commands of infra against it."""

    where: Paths
    port: int
    digits: Path

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | {
            "STAGEMAKER_STATE": str(self.where.state),
            "PORT": str(self.port),
            "DATA": str(self.digits),
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """A command of infra as a user's shell runs it, in the environment that the Makefile gives it."""
        return subprocess.Popen(
            [str(CLIENT), "-m", *arguments],
            cwd=CHECKOUT,
            env=self.environ | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Its exit code and all it printed."""
        with self.start(*arguments, **more) as process:
            output, _ = process.communicate(timeout=600)
            return process.returncode, output


def accuracy(output: str) -> float:
    """The demo's own figure, 0 to 1."""
    found = re.search(r"([0-9.]+)% of \d+ test photos right", output)
    assert found, output
    return float(found[1]) / 100


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits.make(tmp_path_factory.mktemp("data") / "digits", per_class=EACH)


@pytest.fixture
def place(tmp_path: Path, small_digits: Path) -> Iterator[Place]:
    """A free place; whatever a test leaves there is ended, and makes the test fail."""
    where = paths({"STAGEMAKER_STATE": str(tmp_path / "state")})
    yield Place(where, free_port(), small_digits)
    stack.stop(where)
    assert leftovers(tmp_path) == []


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Iterator[Place]:
    """A place with a stack that runs, for a module's tests together."""
    folder = tmp_path_factory.mktemp("stack")
    where = paths({"STAGEMAKER_STATE": str(folder / "state")})
    one = Place(where, free_port(), small_digits)
    stack.start(where, one.port, stays=False)
    yield one
    stack.stop(where)
    assert leftovers(folder) == []


@pytest.fixture(scope="module")
def running(shared_place: Place) -> Running:
    found = stack.status(shared_place.where)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def clients(running: Running) -> Clients:
    return connect("local", "us-east-1", {"AWS_ENDPOINT_URL": running.endpoint})
