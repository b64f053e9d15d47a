"""What the tests of tuning jobs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.plugin.tuning.tuning_environment import Environment


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """Closed afterwards; nothing is left of it."""
    made = Environment(tmp_path)
    yield made
    made.close()
