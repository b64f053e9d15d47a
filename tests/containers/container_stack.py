"""Runs verbs of infra on a stack in containers, and asks Docker what the stack made."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.paths import CHECKOUT
from tests.e2e.environment import CLIENT

PROJECT = "stagemaker-test"


def docker(*arguments: str) -> str:
    """Runs a docker command, which must succeed, and returns what it prints."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def left_in_the_engine(project: str = PROJECT) -> list[str]:
    """Every container, network and volume of a project, whether compose or the stack made it."""
    found = [f"container {name}" for name in docker("ps", "--all", *of_compose(project)).split()]
    found += [f"container {name}" for name in docker("ps", "--all", *started(project)).split()]
    for kind in ("network", "volume"):
        for label in (f"com.docker.compose.project={project}", f"com.stagemaker.network={project}"):
            found += [f"{kind} {name}" for name in docker(kind, "ls", "--quiet", "--filter", f"label={label}").split()]
    return found


def of_compose(project: str = PROJECT, service: str | None = None) -> tuple[str, ...]:
    """The options of `docker ps` for the containers that compose made.

    A container that only runs an image of compose has the same labels, but no config-hash."""
    labels = [f"com.docker.compose.project={project}", "com.docker.compose.config-hash"]
    labels += [f"com.docker.compose.service={service}"] if service else []
    return ("--quiet", *(word for label in labels for word in ("--filter", f"label={label}")))


def started(project: str = PROJECT) -> tuple[str, ...]:
    """The options of `docker ps` for the containers that the stack started."""
    return ("--quiet", "--filter", f"label=com.stagemaker.network={project}")


@dataclass(frozen=True)
class ContainerStack:
    """The project, ports and data of a stack in containers, and the way to run verbs of infra with them."""

    project: str
    port: int
    registry_port: int
    data: Path

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of every command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "DOCKER_HOST") if name in os.environ}
        return kept | {
            "STAGEMAKER_PROJECT": self.project,
            "PORT": str(self.port),
            "REGISTRY_PORT": str(self.registry_port),
            "DATA": str(self.data),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Runs a verb of infra as the Makefile does; `more` are further variables. Returns exit code and output."""
        done = subprocess.run(
            [str(CLIENT), "-m", "infra", *arguments],
            cwd=CHECKOUT,
            env=self.variables | more,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        return done.returncode, done.stdout
