"""A stack in containers in a compose project of the tests' own, with the demo's resources on it."""

from collections.abc import Iterator

import pytest

from benchmarks.ports import free_port
from infra.clients import Clients, connect
from infra.data import digits
from tests.containers.container_stack import PROJECT, ContainerStack, left_in_the_engine
from tests.e2e.environment import EACH, EPOCHS


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerStack]:
    """A project with free ports and small data. What the tests leave in Docker is removed, and makes them fail."""
    data = digits.make(tmp_path_factory.mktemp("data") / "digits", per_class=EACH)
    one = ContainerStack(PROJECT, free_port(), free_port(), data)
    yield one
    one.run("stop", "--docker")
    assert left_in_the_engine() == []


@pytest.fixture(scope="session")
def demo(stack: ContainerStack) -> str:
    """What the demo printed. Its stack keeps running."""
    code, output = stack.run("demo", "--docker", "--keep", EPOCHS)
    assert code == 0, output
    return output


@pytest.fixture(scope="session")
def clients(stack: ContainerStack, demo: str) -> Clients:
    return connect("local", "us-east-1", {"AWS_ENDPOINT_URL": stack.endpoint})


@pytest.fixture(scope="session")
def role(clients: Clients) -> str:
    found: str = clients.iam.get_role(RoleName="stagemaker-demo-training-us-east-1")["Role"]["Arn"]
    return found
