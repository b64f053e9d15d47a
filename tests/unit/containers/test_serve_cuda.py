"""Serving on PyTorch gives the logits of ONNX Runtime. Without a CUDA device the tests run on the CPU."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from containers.serve import cuda
from containers.serve.engines import EngineChoice
from containers.serve.model import Model
from ml.artifact import WEIGHTS_FILE, BadArtifact, ModelCard, read_card
from ml.config import Config
from ml.export import TOLERANCE, export, versions
from ml.model import build, preprocessing
from ml.weights import find_weights
from tests.unit.containers.serve_process import encode

CLASSES = ("blue", "green", "red")
CONFIG = Config(image_size=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact in the trainer's form: the backbone with its ImageNet weights, and a new head."""
    path = tmp_path_factory.mktemp("artifact") / "model"
    card = ModelCard(CLASSES, CONFIG.backbone, preprocessing(CONFIG), {}, versions(), "", {}, {})
    network = build(CONFIG, len(CLASSES), find_weights(CONFIG, path / "no-channel"))
    export(network, card, torch.randn(2, 3, 64, 64), path)
    return path


def test_both_engines_give_the_same_logits(folder: Path) -> None:
    onnx, torch_ = (Model.load(folder, 1, EngineChoice(name)) for name in ("onnx", "torch"))
    images = [onnx.to_input(encode(colour, size=(80, 70))) for colour in CLASSES]
    images += list(np.random.default_rng(0).normal(size=(4, 3, 64, 64)).astype(np.float32))
    expected, found = onnx.run(np.stack(images)), torch_.run(np.stack(images))
    assert found.shape == (7, 3)
    assert found.dtype == np.float32
    assert float(np.ptp(expected)) > 0.1, "the logits differ from each other"
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * max(1.0, float(np.abs(expected).max())))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_cuda_device_the_log_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "serve"):
        cuda.load(folder, read_card(folder))
    assert "no CUDA device: PyTorch runs on the CPU" in caplog.text


def test_weights_that_do_not_fit_the_card_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    card = read_card(tmp_path)
    save_file({"head.weight": torch.zeros(3, 1280)}, tmp_path / WEIGHTS_FILE)
    with pytest.raises(BadArtifact, match=r"model\.safetensors cannot be loaded as efficientnet-lite0"):
        cuda.load(tmp_path, card)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"broken")
    with pytest.raises(BadArtifact, match=r"model\.safetensors cannot be loaded"):
        cuda.load(tmp_path, card)
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(BadArtifact, match=r"model\.safetensors cannot be loaded"):
        cuda.load(tmp_path, card)
    other = ModelCard(CLASSES, "resnet9", card.preprocessing, {}, {}, "", {}, {})
    with pytest.raises(BadArtifact, match="The backbone 'resnet9' is unknown"):
        cuda.load(tmp_path, other)


def test_a_gpu_without_memory_raises_a_memory_error() -> None:
    with pytest.raises(MemoryError, match="full"), cuda.memory_errors():
        raise torch.OutOfMemoryError("full")
