"""What the tests of ECR share."""

from collections.abc import Iterator

import pytest

from tests.unit.plugin.registry.ecr_environment import EcrEnvironment
from tests.unit.plugin.registry.small_registry import small_registry


@pytest.fixture
def environment() -> Iterator[EcrEnvironment]:
    """With the repository `dogs`."""
    with small_registry() as service:
        made = EcrEnvironment(service)
        made.call("create_repository", repositoryName="dogs")
        yield made
        made.supervisor.close()
        assert made.supervisor.threads() == []
