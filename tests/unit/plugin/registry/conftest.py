"""What the tests of ECR share."""

from collections.abc import Iterator

import pytest

from tests.unit.plugin.registry.ecr_world import World
from tests.unit.plugin.registry.small_registry import small_registry


@pytest.fixture
def world() -> Iterator[World]:
    """With the repository `dogs`."""
    with small_registry() as service:
        made = World(service)
        made.call("create_repository", repositoryName="dogs")
        yield made
        made.supervisor.close()
        assert made.supervisor.threads() == []
