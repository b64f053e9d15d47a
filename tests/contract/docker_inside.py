"""Runs a program in a container that uses the Docker runtime, as LocalStack does in the stack of compose."""

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.api import APIClient

from tests.contract.docker_environment import run_container
from tests.contract.docker_image import docker_url

PACKAGES = Path(docker.__file__).parents[1]
PLUGIN = Path(__file__).resolve().parents[2] / "plugin"


@dataclass(frozen=True)
class Inside:
    """What the program wrote, and the containers and networks of its runtime that were there when it had ended."""

    said: str
    containers: list[dict[str, Any]]
    networks: list[dict[str, Any]]


def run_inside(engine: APIClient, image: str, program: str, *variables: str) -> Inside:
    """Run it with a network and an image as arguments, in the container `localstack`, which is `gateway` on that
    network. `variables` are its own, as NAME=value. The plugin and its packages lie in /plugin and /packages, and a
    volume is at /var/lib/stagemaker."""
    name, labels = f"stagemaker-test-{uuid.uuid4().hex[:8]}", {"com.stagemaker": "1"}
    engine.create_network(name, labels=labels)
    engine.create_volume(name, labels=labels)
    binds = [f"{PACKAGES}:/packages:ro", f"{PLUGIN}:/plugin:ro", f"{name}:/var/lib/stagemaker"]
    binds.append(f"{docker_url().removeprefix('unix://')}:/var/run/docker.sock")
    inside = run_container(
        engine,
        image,
        ["python", "-c", program, name, image],
        Hostname="localstack",
        Env=["PYTHONPATH=/packages:/plugin", "PYTHONDONTWRITEBYTECODE=1", *variables],
        HostConfig={"NetworkMode": name, "Binds": binds},
        NetworkingConfig={"EndpointsConfig": {name: {"Aliases": ["gateway"]}}},
    )
    try:
        engine.wait(inside, timeout=120)
        said = engine.logs(inside).decode()
        label = {"label": f"com.stagemaker.network={name}"}
        return Inside(said, engine.containers(all=True, filters=label), engine.networks(filters=label))
    finally:
        engine.remove_container(inside, v=True, force=True)
        engine.remove_volume(name)
        engine.remove_network(name)
