"""The server's network on a CUDA device: the logits of ONNX Runtime on the CPU, and a memory that is full."""

from pathlib import Path

import numpy as np
import pytest
import torch

from containers.serve.engines import EngineChoice
from containers.serve.model import Model
from ml.artifact import ModelCard
from ml.config import BACKBONES, Config
from ml.export import TOLERANCE, export, versions
from ml.model import build, preprocessing
from ml.weights import Weights
from tests.gpu.memory import full_memory

CLASSES = ("a", "b", "c")
SIDE = 96  # pixels


def artifact(folder: Path, backbone: str) -> Path:
    """An artifact as the trainer writes it, with random weights."""
    config = Config(backbone=backbone, weights="none", image_size=SIDE)
    network = build(config, len(CLASSES), Weights(None, {"source": "none"}))
    card = ModelCard(CLASSES, backbone, preprocessing(config), {}, versions(), "", {}, {})
    export(network.eval(), card, torch.randn(2, 3, SIDE, SIDE), folder / "model")
    return folder / "model"


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_the_logits_are_those_of_the_cpu(device: str, tmp_path: Path, backbone: str) -> None:
    folder = artifact(tmp_path, backbone)
    batch = np.random.default_rng(0).normal(size=(9, 3, SIDE, SIDE)).astype(np.float32)
    expected, found = (Model.load(folder, 1, EngineChoice(name)).run(batch) for name in ("onnx", "torch"))
    assert float(np.ptp(expected)) > 0, "the logits differ from each other"
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(1.0, float(np.abs(expected).max())))


def test_a_batch_that_finds_no_memory_is_refused_and_the_next_one_is_computed(cuda: str, tmp_path: Path) -> None:
    model = Model.load(artifact(tmp_path, "resnet50"), 1, EngineChoice("torch"))
    small = np.zeros((1, 3, SIDE, SIDE), np.float32)
    model.run(small)
    with full_memory(), pytest.raises(MemoryError):
        model.run(np.zeros((512, 3, 512, 512), np.float32))
    assert np.isfinite(model.run(small)).all()
