"""`docker compose down -v` after a LocalStack was killed: nothing stays."""

import os
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from infra.paths import CHECKOUT
from tests.containers.container_stack import docker, left_in_the_engine

PROJECT = "stagemaker-sweep"
MADE = ("--label", f"com.stagemaker.network={PROJECT}")
COMPOSE_LABELS = ("project=" + PROJECT, "service=localstack", "config-hash=0")


def compose(*arguments: str) -> None:
    environment = os.environ | {"STAGEMAKER_PROJECT": PROJECT}
    subprocess.run(["docker", "compose", *arguments], cwd=CHECKOUT, env=environment, check=True)


@pytest.fixture
def job() -> Iterator[str]:
    """A container as a job has one, with a network and a volume, on the network of a running sweeper's project."""
    name = f"test-sweep-{uuid.uuid4().hex[:8]}"
    try:
        compose("up", "--wait", "--detach", "sweeper")
        for kind in ("network", "volume"):
            docker(kind, "create", *MADE, name)
        mounted = f"type=volume,source={name},target=/opt/ml"
        docker("run", "--detach", "--name", name, *MADE, "--network", name, "--mount", mounted, "registry:2")
        yield name
    finally:
        compose("down", "--volumes")
        docker("rm", "--force", "--volumes", name)


def test_down_removes_what_a_killed_localstack_left(job: str) -> None:
    compose("down", "--volumes")
    assert left_in_the_engine(PROJECT) == []


def test_while_localstack_runs_the_end_of_the_sweeper_removes_nothing(job: str) -> None:
    labels = [word for label in COMPOSE_LABELS for word in ("--label", f"com.docker.compose.{label}")]
    docker("run", "--detach", "--name", f"{job}-localstack", *labels, "registry:2")
    try:
        compose("restart", "sweeper")
        assert docker("inspect", "--format", "{{.State.Running}}", job) == "true"
    finally:
        docker("rm", "--force", "--volumes", f"{job}-localstack")
