"""Whole trainings on small data: they learn, stop, and resume to the very bit."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ml.artifact import read_card
from ml.checkpoint import CheckpointError
from ml.config import Config
from ml.data import scan
from ml.fit import Progress, TrainingError
from ml.train import Paths, train
from tests.unit.ml.data import write_dataset

HEAD = Config(weights="none", image_size=32, epochs=4, batch_size=8, learning_rate=0.003)
FULL = replace(HEAD, fine_tune="full", epochs=3, learning_rate=0.001)
EPOCH = re.compile(r"epoch=(\d+) train_loss=\d+\.\d{4} valid_loss=\d+\.\d{4} valid_accuracy=[01]\.\d{4}$")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


def never() -> bool:
    return False


def run(config: Config, data: Path, base: Path, stop: Callable[[], bool] = never) -> list[str]:
    lines: list[str] = []
    paths = Paths(data, base / "model", base / "output", base / "checkpoints")
    train(config, scan(data), paths, stop, lines.append)
    return lines


class StopAfter:
    """Asked at every batch: True after `asked` of them."""

    def __init__(self, asked: int) -> None:
        self.left = asked

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def same(first: Path, second: Path) -> bool:
    one, two = load_file(first / "model/model.safetensors"), load_file(second / "model/model.safetensors")
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_head_on_the_package_weights(data: Path, tmp_path: Path) -> None:
    lines = run(replace(HEAD, weights="imagenet", image_size=64), data, tmp_path)
    assert len([line for line in lines if EPOCH.match(line)]) == 4
    assert any(re.match(r"features split=train images=12/12 images_per_s=\d", line) for line in lines)
    card = read_card(tmp_path / "model")
    assert card.classes == ("blue", "green", "red")
    assert card.metrics["test_accuracy"] == 1.0
    assert card.data_digest == scan(data).digest
    assert Config.from_hyperparameters(card.hyperparameters).image_size == 64
    assert f"test_accuracy={card.metrics['test_accuracy']:.4f}" in next(line for line in lines if "test_acc" in line)
    assert json.loads((tmp_path / "output/test_evaluation.json").read_text())["accuracy"] == 1.0
    assert (tmp_path / "output/history.csv").read_text().count("\n") == 5


# MobileNetV3's weights are laid out in another order than its checkpoint, which rounding must not notice.
@pytest.mark.parametrize(("config", "asked"), [(HEAD, 16), (replace(FULL, backbone="mobilenet_v3_large"), 10)])
def test_interrupted_and_resumed_equals_uninterrupted(config: Config, asked: int, data: Path, tmp_path: Path) -> None:
    whole = run(config, data, tmp_path / "whole")
    stopped = run(config, data, tmp_path / "parts", StopAfter(asked))
    assert any(line.startswith("stopped after_epoch=") for line in stopped)
    assert read_card(tmp_path / "parts/model").metrics["epochs"] < config.epochs  # a model so far
    resumed = run(config, data, tmp_path / "parts")
    assert any(line.startswith("resumed after_epoch=") for line in resumed)
    assert same(tmp_path / "whole", tmp_path / "parts")
    epochs = [line for line in stopped + resumed if EPOCH.match(line)]
    assert epochs == [line for line in whole if EPOCH.match(line)]


def test_stopped_before_the_first_epoch_leaves_no_model(data: Path, tmp_path: Path) -> None:
    assert run(HEAD, data, tmp_path, StopAfter(1))[-1].startswith("Stopped before the first epoch ended")
    assert not (tmp_path / "model").exists()


def test_checkpoint_of_other_hyperparameters_is_refused(data: Path, tmp_path: Path) -> None:
    run(replace(HEAD, epochs=1), data, tmp_path)
    with pytest.raises(CheckpointError, match="its batch-size is '8', not '4'"):
        run(replace(HEAD, batch_size=4), data, tmp_path)


def test_loss_that_explodes_says_what_to_change(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a smaller 'learning-rate' may help"):
        run(replace(FULL, learning_rate=1e30, epochs=5), data, tmp_path)


def row(accuracy: float, loss: float) -> dict[str, float]:
    return {"train_loss": 0.0, "valid_loss": loss, "valid_accuracy": accuracy}


def test_early_stopping() -> None:
    config = Config(patience=2, epochs=9)
    progress = Progress().after(row(0.5, 1.0)).after(row(0.5, 0.9)).after(row(0.4, 0.1))
    assert (progress.best_epoch, progress.finished(config)) == (2, False)
    assert progress.after(row(0.5, 0.9)).finished(config)
    assert progress.after(row(0.6, 2.0)).best_epoch == 4
    assert Progress(epoch=9, best_epoch=9).finished(config)
