"""What the tests of training jobs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagemaker.training import training
from tests.unit.plugin.training.training_environment import Environment


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """Closed afterwards; nothing is left of it."""
    monkeypatch.setattr(training, "AFTER_S", 60.0)  # not the 5 s, in which a busy machine may read no metric
    made = Environment(tmp_path)
    yield made
    made.close()
