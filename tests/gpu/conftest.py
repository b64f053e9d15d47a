"""What the tests of a CUDA device share. Without a device they are skipped, and say so; with DEVICE=cpu those that can
run on a CPU do, which shows that the tests themselves work."""

import os
from pathlib import Path

import pytest
import torch

from tests.unit.ml.data import write_dataset


@pytest.fixture(scope="session")
def device() -> str:
    """The kind of device that the code under test chooses: cuda, or cpu where that was asked for."""
    if torch.cuda.is_available():
        return "cuda"
    if os.environ.get("DEVICE") != "cpu":
        pytest.skip("this machine has no CUDA device")
    return "cpu"


@pytest.fixture(scope="session")
def cuda(device: str) -> str:
    """For what only a CUDA device has."""
    if device != "cuda":
        pytest.skip("this machine has no CUDA device")
    return device


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of three classes."""
    return write_dataset(tmp_path_factory.mktemp("photos"), each=16)
