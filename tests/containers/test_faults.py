"""What a user is told when Docker is not as it should be: one sentence and the next step, and nothing is left."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.containers.conftest import Stack, left_in_the_engine
from tests.e2e.conftest import free_port

PROJECT = "stagemaker-fault"


@pytest.fixture
def fault(tmp_path: Path) -> Stack:
    return Stack(PROJECT, free_port(), free_port(), tmp_path)


def commands(folder: Path, **scripts: str) -> str:
    """A PATH that holds these commands before all others."""
    for name, text in scripts.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("command", [("start", "--docker"), ("demo", "--docker")])
def test_no_engine(fault: Stack, command: tuple[str, ...]) -> None:
    code, output = fault.run(*command, DOCKER_HOST="unix:///nowhere/docker.sock", DATA="")
    assert code == 1
    assert "The Docker engine does not answer." in output
    assert "do without: make demo" in output


def test_no_docker(fault: Stack, tmp_path: Path) -> None:
    code, output = fault.run("start", "--docker", PATH=str(tmp_path))
    assert code == 1
    assert "The command `docker` was not found." in output


def test_compose_v1_only(fault: Stack, tmp_path: Path) -> None:
    docker = f'[ "$1" = compose ] && exit 1; exec {shutil.which("docker")} "$@"'
    code, output = fault.run("start", "--docker", PATH=commands(tmp_path, docker=docker, docker_compose="exit 0"))
    assert code == 1
    assert "docker-compose is version 1" in output


@pytest.mark.parametrize("variable", ["PORT", "REGISTRY_PORT"])
def test_a_port_that_is_taken(fault: Stack, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, output = fault.run("start", "--docker", **{variable: str(taken.getsockname()[1])})
    assert code == 1
    assert f"Choose another, such as {variable}=" in output
    assert left_in_the_engine(PROJECT) == []
