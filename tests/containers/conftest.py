"""A stack in containers, under a compose project of the tests' own, with the demo's resources on it."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.clients import Clients, connect
from infra.data import digits
from infra.paths import CHECKOUT
from tests.e2e.conftest import CLIENT, EACH, EPOCHS, free_port

PROJECT = "stagemaker-test"


def docker(*arguments: str) -> str:
    """What the command prints; it must succeed."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def left_in_the_engine(project: str = PROJECT) -> list[str]:
    """Every container, network and volume of a project, by whatever label."""
    found = [f"container {name}" for name in docker("ps", "--all", *of_compose(project)).split()]
    found += [f"container {name}" for name in docker("ps", "--all", *started(project)).split()]
    for kind in ("network", "volume"):
        for label in (f"com.docker.compose.project={project}", f"com.stagemaker.network={project}"):
            found += [f"{kind} {name}" for name in docker(kind, "ls", "--quiet", "--filter", f"label={label}").split()]
    return found


def of_compose(project: str = PROJECT, service: str | None = None) -> tuple[str, ...]:
    """The options of `docker ps` for the containers that compose made; what runs its images has all labels but one."""
    labels = [f"com.docker.compose.project={project}", "com.docker.compose.config-hash"]
    labels += [f"com.docker.compose.service={service}"] if service else []
    return ("--quiet", *(word for label in labels for word in ("--filter", f"label={label}")))


def started(project: str = PROJECT) -> tuple[str, ...]:
    """The options of `docker ps` for what the stack has started."""
    return ("--quiet", "--filter", f"label=com.stagemaker.network={project}")


@dataclass(frozen=True)
class Stack:
    """How to run commands of infra against a stack in containers."""

    project: str
    port: int
    registry_port: int
    data: Path

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """A verb of infra as a user's shell runs it: its exit code and all it printed."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "DOCKER_HOST") if name in os.environ}
        environment = kept | {
            "STAGEMAKER_PROJECT": self.project,
            "PORT": str(self.port),
            "REGISTRY_PORT": str(self.registry_port),
            "DATA": str(self.data),
            "COLUMNS": "200",
        }
        done = subprocess.run(
            [str(CLIENT), "-m", "infra", *arguments],
            cwd=CHECKOUT,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Free ports and small data; what a test leaves there is removed, and makes the tests fail."""
    data = digits.make(tmp_path_factory.mktemp("data") / "digits", per_class=EACH)
    one = Stack(PROJECT, free_port(), free_port(), data)
    yield one
    one.run("stop", "--docker")
    assert left_in_the_engine() == []


@pytest.fixture(scope="session")
def demo(place: Stack) -> str:
    """What the demo printed; it leaves its stack up."""
    code, output = place.run("demo", "--docker", "--keep", EPOCHS)
    assert code == 0, output
    return output


@pytest.fixture(scope="session")
def clients(place: Stack, demo: str) -> Clients:
    return connect("local", "us-east-1", {"AWS_ENDPOINT_URL": place.endpoint})


@pytest.fixture(scope="session")
def role(clients: Clients) -> str:
    found: str = clients.iam.get_role(RoleName="stagemaker-demo-sagemaker-us-east-1")["Role"]["Arn"]
    return found
