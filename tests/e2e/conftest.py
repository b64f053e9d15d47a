"""The environments of the end-to-end tests, and clients for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from infra.clients import Clients, connect
from infra.data import digits
from infra.hosts.host import RunningStack
from infra.paths import paths
from tests.e2e.environment import EACH, Environment, leftovers


@pytest.fixture(scope="session")
def small_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits.make(tmp_path_factory.mktemp("data") / "digits", per_class=EACH)


@pytest.fixture
def environment(tmp_path: Path, small_digits: Path) -> Iterator[Environment]:
    """A new environment. What a test leaves running in it is ended, and makes the test fail."""
    one = Environment(paths({"STAGEMAKER_STATE": str(tmp_path / "state")}), free_port(), small_digits)
    yield one
    one.host.stop()
    assert leftovers(tmp_path) == []


@pytest.fixture(scope="module")
def shared_environment(tmp_path_factory: pytest.TempPathFactory, small_digits: Path) -> Iterator[Environment]:
    """An environment with a running stack, for all tests of a module."""
    folder = tmp_path_factory.mktemp("stack")
    one = Environment(paths({"STAGEMAKER_STATE": str(folder / "state")}), free_port(), small_digits)
    one.host.start(one.port, stays=False)
    yield one
    one.host.stop()
    assert leftovers(folder) == []


@pytest.fixture(scope="module")
def running(shared_environment: Environment) -> RunningStack:
    found = shared_environment.host.status()
    assert found is not None
    return found


@pytest.fixture(scope="module")
def clients(running: RunningStack) -> Clients:
    return connect("local", "us-east-1", {"AWS_ENDPOINT_URL": running.endpoint})
