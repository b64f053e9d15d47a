"""A real LocalStack with the plugin, on a free port, over a state folder of the test's own."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra import hosts
from infra.clients import Clients, connect
from infra.data import digits
from infra.hosts.host import Host, RunningStack
from infra.paths import CHECKOUT, Paths, paths

CLIENT = paths({}).environments / "client" / "bin" / "python"
EACH = 40  # digits of a class: 28 to train, 6 to valid, 6 to test
EPOCHS = "--set=epochs=6"
TITLES = (
    "Bucket", "Data in S3", "Role of training and hosting", "Training job", "Model", "Endpoint configuration",
    "Endpoint", "Role of the function", "Function",
)  # fmt: skip


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
            "STAGEMAKER_PROJECT": "stagemaker-e2e",  # a stack in containers is not this one
            "PORT": str(self.port),
            "DATA": str(self.digits),
            "COLUMNS": "200",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def host(self) -> Host:
        """The host that runs the stack of this place."""
        return hosts.choose(docker=False, environ=self.environ)

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        """A verb of infra as a user's shell runs it, in the environment that the Makefile gives it."""
        return subprocess.Popen(
            [str(CLIENT), "-m", "infra", *arguments],
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
    one = Place(where, free_port(), small_digits)
    yield one
    one.host.stop()
    assert leftovers(tmp_path) == []


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Iterator[Place]:
    """A place with a stack that runs, for a module's tests together."""
    folder = tmp_path_factory.mktemp("stack")
    where = paths({"STAGEMAKER_STATE": str(folder / "state")})
    one = Place(where, free_port(), small_digits)
    one.host.start(one.port, stays=False)
    yield one
    one.host.stop()
    assert leftovers(folder) == []


@pytest.fixture(scope="module")
def running(shared_place: Place) -> RunningStack:
    found = shared_place.host.status()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def clients(running: RunningStack) -> Clients:
    return connect("local", "us-east-1", {"AWS_ENDPOINT_URL": running.endpoint})
