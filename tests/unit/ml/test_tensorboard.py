"""Event files: what a reader of TensorBoard's format finds in them, and what a disk that is full does."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboardX.proto.event_pb2 import SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from ml.config import Config
from ml.context import Paths
from ml.data import scan
from ml.model import build
from ml.tensorboard import Board, folder_of
from ml.train import train
from ml.weights import Weights
from tests.unit.ml.data import write_dataset
from tests.unit.ml.event_files import events, only_file
from tests.unit.ml.stops import StopAfter, never

METRICS = ("valid_accuracy",)


def silent(line: str) -> None:
    pytest.fail(line)


def clock() -> float:
    return 1_800_000_000.5


def test_the_figures_of_each_epoch_are_scalars(tmp_path: Path) -> None:
    board = Board(tmp_path / "made" / "here", silent, clock)
    board.begin(0, {}, METRICS)
    board.epoch(1, {"train_loss": 0.5, "valid_accuracy": 0.75})
    path = only_file(tmp_path / "made" / "here")
    assert path.name.startswith("events.out.tfevents.1800000000.")
    first, *_, last = events(path)
    assert (first.file_version, first.wall_time) == ("brain.Event:2", 1_800_000_000.5)
    assert last.step == 1
    assert {value.tag: value.simple_value for value in last.summary.value} == {
        "train_loss": 0.5,
        "valid_accuracy": 0.75,
    }
    board.epoch(2, {"train_loss": 0.25})
    assert events(path)[-1].step == 2
    assert not [event for event in events(path) if event.HasField("session_log")]


def test_the_hyperparameters_are_in_tensorboard_s_table(tmp_path: Path) -> None:
    Board(tmp_path, silent).begin(0, {"backbone": "resnet50", "flip": True, "epochs": 3, "crop": 0.875}, METRICS)
    found: dict[str, Any] = {}
    for event in events(only_file(tmp_path)):
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "hparams"
            content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
            found[value.tag.partition("/")[2]] = content
    assert found.keys() == {"experiment", "session_start_info", "session_end_info"}
    given = found["session_start_info"].session_start_info.hparams
    assert {name: value.WhichOneof("kind") for name, value in given.items()} == {
        "backbone": "string_value",
        "flip": "bool_value",
        "epochs": "number_value",
        "crop": "number_value",
    }
    assert (given["backbone"].string_value, given["crop"].number_value) == ("resnet50", 0.875)
    assert [info.name.tag for info in found["experiment"].experiment.metric_infos] == ["valid_accuracy"]


def test_a_resumed_training_says_which_steps_of_before_are_void(tmp_path: Path) -> None:
    board = Board(tmp_path, silent)
    board.begin(4, {}, METRICS)
    board.epoch(5, {"train_loss": 0.5})
    starts = [event for event in events(only_file(tmp_path)) if event.HasField("session_log")]
    assert [(event.step, event.session_log.status) for event in starts] == [(5, SessionLog.START)]


def test_a_training_and_the_one_that_goes_on_after_it_give_one_curve(tmp_path: Path) -> None:
    config = Config(
        weights="none", image_size=32, epochs=4, batch_size=8, feature_engine="torch-f32", measure_precisions=False
    )
    data = write_dataset(tmp_path / "data")
    stops: list[Callable[[], bool]] = [StopAfter(16), never]
    attempts = []
    for number, stop in enumerate(stops):
        board = tmp_path / f"board{number}"
        paths = Paths(data, tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints", board)
        train(config, scan(data), paths, stop, lambda _: None)
        attempts.append(events(only_file(board)))
    first, second = ([e for e in attempt if "train_loss" in {v.tag for v in e.summary.value}] for attempt in attempts)
    (start,) = [event.step for event in attempts[1] if event.HasField("session_log")]
    assert [event.step for event in first + second] == [1, 2, 3, 4]
    assert 1 < start == second[0].step
    names = ["train_loss", "valid_loss", "valid_accuracy", "learning_rate", "images_per_s"]
    for event in first + second:
        assert [value.tag for value in event.summary.value] == names
    rates = [event.summary.value[3].simple_value for event in first + second]
    assert rates[0] == pytest.approx(config.learning_rate)
    assert rates == sorted(rates, reverse=True)
    pictures = {v.tag: v.image for event in attempts[1] for v in event.summary.value if v.HasField("image")}
    assert pictures.keys() == {"valid_confusion", "test_confusion"}
    for name, picture in pictures.items():
        assert picture.encoded_image_string == (tmp_path / "output" / f"{name}.png").read_bytes()
        with Image.open(io.BytesIO(picture.encoded_image_string)) as image:
            assert image.size == (picture.width, picture.height)


def test_the_rates_of_backbone_and_head_have_their_names(tmp_path: Path) -> None:
    config = Config("mobilenet_v3_large", "none", "full", image_size=32, epochs=1, batch_size=8)
    model = build(config, 3, Weights(None, {}))
    torch.save(model.body.state_dict(), tmp_path / "weights.pth")
    data = write_dataset(tmp_path / "data")
    (data / "pretrained").mkdir()
    (tmp_path / "weights.pth").rename(data / "pretrained" / "weights.pth")
    paths = Paths(data, tmp_path / "model", tmp_path / "output", tmp_path / "checkpoints", tmp_path / "board")
    train(replace(config, weights="imagenet", measure_precisions=False), scan(data), paths, never, lambda _: None)
    written = {v.tag: v.simple_value for event in events(only_file(tmp_path / "board")) for v in event.summary.value}
    rates = {name: value for name, value in written.items() if name.startswith("learning_rate")}
    assert rates.keys() == {"learning_rate_backbone", "learning_rate_head"}
    assert rates["learning_rate_head"] == pytest.approx(config.head_rate * rates["learning_rate_backbone"])


def test_a_job_without_a_folder_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    board = Board(None, silent)
    board.begin(0, {"epochs": 3}, METRICS)
    board.epoch(1, {"train_loss": 0.5})
    assert list(tmp_path.iterdir()) == []


def in_place_of_the_folder(folder: Path) -> None:
    folder.write_text("a file")


def on_a_full_disk(folder: Path) -> None:
    folder.mkdir()
    (folder / "events.out.tfevents.1800000000.host").symlink_to("/dev/full")


@pytest.mark.parametrize(
    ("prepare", "reason"), [(in_place_of_the_folder, "File exists"), (on_a_full_disk, "No space left on device")]
)
def test_what_cannot_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Path], None], reason: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host")
    prepare(tmp_path / "board")
    said: list[str] = []
    board = Board(tmp_path / "board", said.append, clock)
    board.begin(0, {"epochs": 3}, METRICS)
    board.epoch(1, {"train_loss": 0.5})
    (line,) = said
    assert line.startswith("tensorboard '")
    assert reason in line
    assert line.endswith("': nothing more is written for it")


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ({}, None),
        ({"S3OutputPath": "s3://bucket/board"}, Path("/base/output/tensorboard")),
        ({"LocalPath": "/opt/ml/output/tensorboard"}, Path("/base/output/tensorboard")),
        ({"LocalPath": "/tensorboard"}, Path("/tensorboard")),
    ],
)
def test_the_folder_is_that_of_the_job_s_configuration(config: dict[str, str], folder: Path | None) -> None:
    assert folder_of(config, Path("/base")) == folder
