"""When Docker is missing, too old or busy, a user gets one sentence with the next step, and nothing is left."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.containers.container_stack import ContainerStack, left_in_the_engine

PROJECT = "stagemaker-fault"


@pytest.fixture
def fault(tmp_path: Path) -> ContainerStack:
    return ContainerStack(PROJECT, free_port(), free_port(), tmp_path)


def commands(folder: Path, **scripts: str) -> str:
    """A PATH on which these commands come before all others."""
    for name, text in scripts.items():
        (folder / name.replace("_", "-")).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name.replace("_", "-")).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


@pytest.mark.parametrize("command", [("start", "--docker"), ("demo", "--docker")])
def test_a_missing_engine_is_named(fault: ContainerStack, command: tuple[str, ...]) -> None:
    code, output = fault.run(*command, DOCKER_HOST="unix:///nowhere/docker.sock", DATA="")
    assert code == 1
    assert "The Docker engine does not answer." in output
    assert "do without: make demo" in output


def test_a_missing_docker_command_is_named(fault: ContainerStack, tmp_path: Path) -> None:
    code, output = fault.run("start", "--docker", PATH=str(tmp_path))
    assert code == 1
    assert "The command `docker` was not found." in output


def test_compose_version_1_is_refused(fault: ContainerStack, tmp_path: Path) -> None:
    docker = f'[ "$1" = compose ] && exit 1; exec {shutil.which("docker")} "$@"'
    code, output = fault.run("start", "--docker", PATH=commands(tmp_path, docker=docker, docker_compose="exit 0"))
    assert code == 1
    assert "docker-compose is version 1" in output


@pytest.mark.parametrize("variable", ["PORT", "REGISTRY_PORT"])
def test_a_port_in_use_is_named(fault: ContainerStack, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, output = fault.run("start", "--docker", **{variable: str(taken.getsockname()[1])})
    assert code == 1
    assert f"Choose another, such as {variable}=" in output
    assert left_in_the_engine(PROJECT) == []
