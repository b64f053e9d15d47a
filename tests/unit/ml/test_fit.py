"""The training loop on small data: it stops, resumes with the same bits, and names what is wrong."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml import progress_lines
from ml.checkpoint import CheckpointError
from ml.config import Config
from ml.distributed import ONE_HOST
from ml.fit import Progress, Trainer, TrainingError, class_weights, rate_groups, rate_share, set_training
from tests.unit.ml.data import write_dataset
from tests.unit.ml.ranks import equal_tensors, train_rank, trained_weights
from tests.unit.ml.stops import StopAfter, never

HEAD = Config(
    weights="none", image_size=32, epochs=4, batch_size=8, learning_rate=0.003, feature_engine="torch-f32"
)  # PyTorch's features need no export
FULL = replace(HEAD, fine_tune="full", epochs=3, learning_rate=0.001)
EPOCH = re.compile(r"epoch=(\d+) train_loss=\d+\.\d{4} valid_loss=\d+\.\d{4} valid_accuracy=[01]\.\d{4}$")
Run = Callable[..., list[str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture is broken: what is left out changes neither a resumed training nor its order."""
    root = write_dataset(tmp_path_factory.mktemp("data"))
    (root / "train" / "green" / "1.jpg").write_bytes(b"no image")
    return root


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that trains in a folder and returns the lines that the training printed."""

    def trained(config: Config, folder: Path, stop: Callable[[], bool] = never) -> list[str]:
        folder.mkdir(exist_ok=True)
        train_rank(data, folder, config, ONE_HOST, "batch", stop)
        return capsys.readouterr().out.splitlines()

    return trained


# MobileNetV3's weights have another memory layout than its checkpoint; the rounding must stay the same.
@pytest.mark.parametrize(
    ("config", "calls"),
    [
        (HEAD, 16),
        (replace(HEAD, mixup=0.4), 16),
        (replace(FULL, backbone="mobilenet_v3_large", mixup=0.4), 10),
        (replace(FULL, weights="imagenet"), 10),
    ],
)
def test_a_resumed_training_equals_an_uninterrupted_one(config: Config, calls: int, run: Run, tmp_path: Path) -> None:
    whole = run(config, tmp_path / "whole")
    stopped = run(config, tmp_path / "parts", StopAfter(calls))
    assert any(line.startswith("stopped after_epoch=") for line in stopped)
    resumed = run(config, tmp_path / "parts")
    assert any(line.startswith("resumed after_epoch=") for line in resumed)
    assert equal_tensors(trained_weights(tmp_path / "whole", 0), trained_weights(tmp_path / "parts", 0))
    epochs = [line for line in stopped + resumed if EPOCH.match(line)]
    assert len(epochs) == config.epochs
    assert epochs == [line for line in whole if EPOCH.match(line)]


def test_a_checkpoint_of_other_hyperparameters_is_refused(run: Run, tmp_path: Path) -> None:
    run(replace(HEAD, epochs=1), tmp_path)
    with pytest.raises(CheckpointError, match="its batch-size is '8', not '4'"):
        run(replace(HEAD, batch_size=4), tmp_path)


def test_a_loss_that_is_not_finite_says_what_to_change(run: Run, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="a smaller 'learning-rate' may help"):
        run(replace(FULL, learning_rate=1e30, epochs=5), tmp_path)


def row(accuracy: float, loss: float) -> dict[str, float]:
    return {"train_loss": 0.0, "valid_loss": loss, "valid_accuracy": accuracy}


def test_early_stopping() -> None:
    config = Config(patience=2, epochs=9)
    progress = Progress().after(row(0.5, 1.0)).after(row(0.5, 0.9)).after(row(0.4, 0.1))
    assert (progress.best_epoch, progress.finished(config)) == (2, False)
    assert progress.after(row(0.5, 0.9)).finished(config)
    assert progress.after(row(0.6, 2.0)).best_epoch == 4
    assert Progress(epoch=9, best_epoch=9).finished(config)


def test_balanced_classes_count_alike(tmp_path: Path) -> None:
    weights = class_weights([0, 0, 0, 0, 1, 1, 2], 3)
    assert torch.allclose(weights * torch.tensor([4.0, 2.0, 1.0]), torch.full((3,), 7 / 3))
    data = write_dataset(tmp_path / "data")
    for number in (1, 2, 3):
        (data / "train" / "green" / f"{number}.png").unlink()
    for name in ("none", "balanced"):
        (tmp_path / name).mkdir()
        train_rank(data, tmp_path / name, replace(HEAD, epochs=1, class_weights=name), ONE_HOST, "batch", never)
    assert not equal_tensors(trained_weights(tmp_path / "none", 0), trained_weights(tmp_path / "balanced", 0))


def test_the_rate_rises_and_falls_over_the_steps() -> None:
    config = replace(FULL, epochs=10)
    steps = [rate_share(config, epoch, step / 4, (step + 1) / 4) for epoch in range(1, 11) for step in range(4)]
    assert steps[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert steps[4:] == sorted(steps[4:], reverse=True)
    assert 0 < steps[-1] < 0.01
    head = replace(HEAD, epochs=4)
    assert [rate_share(head, epoch, 0.5, 0.6) for epoch in (1, 3)] == [1.0, pytest.approx(0.5)]
    assert rate_share(replace(FULL, epochs=1), 1, 0.0, 0.05) == pytest.approx(0.5)


def test_a_pretrained_backbone_keeps_its_statistics_and_learns_slowly() -> None:
    module = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Dropout())
    module.add_module("head", torch.nn.Linear(3, 2))
    pretrained = replace(FULL, weights="imagenet")
    both = {"learning_rate_backbone": 1.0, "learning_rate_head": 100.0}
    for config, keeps, times in [(pretrained, True, both), (FULL, False, {"learning_rate": 1.0})]:
        set_training(module, config)
        assert [child.training for child in module] == [not keeps, True, True]
        groups = rate_groups(module, config)
        assert {group["name"]: group["times"] for group in groups} == times
        weights = [weight for group in groups for weight in group["params"]]
        assert all(one is other for one, other in zip(weights, module.parameters(), strict=True))
    set_training(module, replace(pretrained, norm_statistics="batch"))
    assert all(child.training for child in module)


def test_mixup_mixes_inputs_and_labels_alike() -> None:
    trainer = Trainer(torch.nn.Linear(3, 3), replace(HEAD, mixup=1.0), torch.device("cpu"), ONE_HOST)
    labels = torch.arange(3)
    inputs = torch.eye(3)
    mixed = trainer._mix(np.random.default_rng(1), inputs, labels)
    assert 0 < mixed.share < 1
    assert torch.allclose(mixed.inputs, inputs[mixed.labels] * mixed.share + inputs[mixed.others] * (1 - mixed.share))
    assert sorted(mixed.others.tolist()) == [0, 1, 2]
    again = trainer._mix(np.random.default_rng(1), inputs, labels)
    assert torch.equal(again.inputs, mixed.inputs)


def test_mixup_changes_what_is_learnt(run: Run, tmp_path: Path) -> None:
    for name, alpha in (("off", 0.0), ("on", 0.4)):
        run(replace(HEAD, epochs=1, mixup=alpha), tmp_path / name)
    assert not equal_tensors(trained_weights(tmp_path / "off", 0), trained_weights(tmp_path / "on", 0))


def test_a_long_training_says_how_far_it_is(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_lines, "PROGRESS_S", 0.0)
    lines = run(FULL, tmp_path)
    within = re.compile(r"training epoch=3 images=8/12 images_per_s=\d+\.\d eta_s=\d+ loss_so_far=\d+\.\d{4}")
    after = re.compile(r"training after_epoch=2 epochs_left=1 eta_s=\d+")
    for pattern in (within, after):
        assert len([line for line in lines if pattern.fullmatch(line)]) == 1
