"""Functions in containers of the real engine, on a network of their own, for the tests of them."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stagemaker.core.supervisor import Supervisor
from stagemaker.functions.containers import Containers
from stagemaker.runtime.docker.engine import Engine
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import DockerSettings
from tests.contract.docker_image import docker_url

LAMBDA_IMAGE = "stagemaker/lambda:latest"


@contextmanager
def network() -> Iterator[tuple[str, str]]:
    """A network's name and the address of this machine on it; gone afterwards."""
    engine, name = Engine(docker_url()), f"stagemaker-test-{uuid.uuid4().hex[:8]}"
    engine.create_network(name, {"com.stagemaker": "1"})
    try:
        yield name, engine.inspect_network(name)["IPAM"]["Config"][0]["Gateway"]
    finally:
        engine.remove_network(name, disconnect=False)


@contextmanager
def containers(state: Path) -> Iterator[tuple[str, Containers]]:
    """A network, and a launcher on it; nothing of them is left afterwards."""
    with network() as (name, _):
        supervisor = Supervisor()
        settings = DockerSettings(name, "off", "none", LAMBDA_IMAGE, "", 0)
        runtime = DockerRuntime(settings, state, None, supervisor, docker_url())
        supervisor.own(runtime.close)
        try:
            yield name, Containers(runtime, LAMBDA_IMAGE, supervisor)
        finally:
            supervisor.close()
        assert supervisor.threads() == []


def running(network: str) -> list[str]:
    """The ids of the containers of the stack with this network, ended ones too."""
    return [container["Id"] for container in Engine(docker_url()).containers(f"com.stagemaker.network={network}")]
