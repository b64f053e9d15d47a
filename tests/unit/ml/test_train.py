"""Whole trainings on small data: they learn, stop, and write their files."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ml.artifact import read_card
from ml.config import Config
from ml.context import Paths
from ml.data import scan
from ml.fit import TrainingError
from ml.train import train
from tests.unit.ml.data import write_dataset
from tests.unit.ml.stops import StopAfter, never

HEAD = Config(weights="none", image_size=32, epochs=4, batch_size=8, learning_rate=0.003)
EPOCH = re.compile(r"epoch=(\d+) train_loss=\d+\.\d{4} valid_loss=\d+\.\d{4} valid_accuracy=[01]\.\d{4}$")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


def run(config: Config, data: Path, base: Path, stop: Callable[[], bool] = never) -> list[str]:
    lines: list[str] = []
    paths = Paths(data, base / "model", base / "output", base / "checkpoints")
    train(config, scan(data), paths, stop, lines.append)
    return lines


def test_the_head_learns_on_the_weights_of_the_package(data: Path, tmp_path: Path) -> None:
    lines = run(replace(HEAD, weights="imagenet", image_size=64), data, tmp_path)
    assert len([line for line in lines if EPOCH.match(line)]) == 4
    assert any(re.match(r"features split=train images=12/12 images_per_s=\d", line) for line in lines)
    card = read_card(tmp_path / "model")
    assert card.classes == ("blue", "green", "red")
    assert card.metrics["test_accuracy"] == 1.0
    assert 0.05 <= card.metrics["temperature"] <= 20
    assert card.data_digest == scan(data).digest
    few = "Not measured: there are 12 validation photos; 100 are needed."
    assert card.metrics["precisions"] == {"bf16": few, "int8": few}
    assert {f"precision=bf16 '{few}'", f"precision=int8 '{few}'"} <= set(lines)
    assert Config.from_hyperparameters(card.hyperparameters).image_size == 64
    assert f"test_accuracy={card.metrics['test_accuracy']:.4f}" in next(line for line in lines if "test_acc" in line)
    assert json.loads((tmp_path / "output/test_evaluation.json").read_text())["accuracy"] == 1.0
    assert (tmp_path / "output/history.csv").read_text().count("\n") == 5


def test_a_config_of_defaults_trains(data: Path, tmp_path: Path) -> None:
    lines = run(Config(), data, tmp_path)
    losses = [float(line.split()[1].partition("=")[2]) for line in lines if EPOCH.match(line)]
    assert losses[-1] < losses[0]
    assert read_card(tmp_path / "model").metrics["test_accuracy"] == 1.0


def test_a_stopped_training_writes_the_model_so_far(data: Path, tmp_path: Path) -> None:
    lines = run(HEAD, data, tmp_path, StopAfter(8))
    assert any(line.startswith("stopped after_epoch=") for line in lines)
    assert 1 <= read_card(tmp_path / "model").metrics["epochs"] < HEAD.epochs


def test_a_training_stopped_before_the_first_epoch_writes_no_model(data: Path, tmp_path: Path) -> None:
    config = replace(HEAD, feature_engine="torch-f32")  # needs no export
    assert run(config, data, tmp_path, StopAfter(1))[-1].startswith("Stopped before the first epoch ended")
    assert not (tmp_path / "model").exists()


def test_a_validation_loss_that_is_not_finite_ends_the_training(data: Path, tmp_path: Path) -> None:
    diverging = Config("mobilenet_v3_large", "none", "full", image_size=32, epochs=3, batch_size=64, learning_rate=10.0)
    with pytest.raises(TrainingError, match="The validation loss is not finite in epoch 1; a smaller 'learning-rate'"):
        run(diverging, data, tmp_path)
    assert not (tmp_path / "model").exists()
