"""A real LocalStack that enforces IAM and whose runtime is the real engine, on a network of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ports import free_port
from tests.contract.function_containers import network
from tests.contract.localstack_process import LocalStack, running_localstack


@contextmanager
def docker_stage(folder: Path, **environment: str) -> Iterator[tuple[LocalStack, str, str]]:
    """LocalStack, the name of the network, and this machine's address on it. What `environment` says wins."""
    with network() as (name, gateway), stage_on(name, gateway, folder, **environment) as localstack:
        yield localstack, name, gateway


@contextmanager
def stage_on(name: str, gateway: str, folder: Path, **environment: str) -> Iterator[LocalStack]:
    """LocalStack on the network `name`, on which this machine has the address `gateway`: another one each time."""
    port = free_port()
    settings = {
        "STAGEMAKER_RUNTIME": "docker",
        "STAGEMAKER_NETWORK": name,
        "STAGEMAKER_GATEWAY_URL": f"http://{gateway}:{port}",
        "STAGEMAKER_IAM": "strict",
        "GATEWAY_LISTEN": f"127.0.0.1:{port},{gateway}:{port}",
        "LOCALSTACK_HOST": f"127.0.0.1:{port}",
    }
    with running_localstack(folder, **{**settings, **environment}) as localstack:
        yield localstack
