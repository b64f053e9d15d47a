"""The training photos are made small once, and where they are kept changes no pixel and no weight."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml import learners
from ml.config import Config
from ml.data import Split, scan
from ml.distributed import ONE_HOST
from ml.memory import Room
from ml.photo_cache import PhotoCache, short_side
from ml.photos import decode
from ml.preprocess import Preprocessing
from tests.unit.ml.data import write_dataset
from tests.unit.ml.ranks import equal_tensors, train_rank, trained_weights
from tests.unit.ml.stops import StopAfter, never

P = Preprocessing(32, 36, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PHOTO_BYTES = 40 * 40 * 3  # of each of the data set's
AMPLE = 10**9


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture
def split(data: Path) -> Split:
    return scan(data).splits["train"]


def pixels(cache: PhotoCache) -> list[bytes]:
    return [cache.photo(number).tobytes() for number in range(len(cache.split))]


def where(line: str) -> tuple[int, ...]:
    found = re.search(r"in_memory=(\d+) on_disk=(\d+) decoded_each_epoch=(\d+) ", line)
    assert found, line
    return tuple(map(int, found.groups()))


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (Room(AMPLE, AMPLE), (12, 0, 0)),
        (Room(0, AMPLE), (0, 12, 0)),
        (Room(0, 0), (0, 0, 12)),
        (Room(5 * PHOTO_BYTES, 3 * PHOTO_BYTES + 1), (5, 3, 4)),
    ],
)
def test_the_pixels_are_the_same_wherever_photos_are_kept(room: Room, kept: tuple[int, ...], split: Split) -> None:
    cache = PhotoCache(split, 40, P, room)
    expected = [decode(path.read_bytes()).tobytes() for path in split.files]
    assert pixels(cache) == expected  # a photo that is small already stays as it is
    assert where(cache.line()) == kept
    assert pixels(cache) == expected
    assert where(cache.line()) == kept


def test_what_is_kept_is_not_decoded_again(tmp_path: Path) -> None:
    split = scan(write_dataset(tmp_path)).splits["train"]
    caches = [PhotoCache(split, 40, P, room) for room in (Room(AMPLE, 0), Room(0, AMPLE))]
    expected = [pixels(cache) for cache in caches]
    for path in split.files:
        path.unlink()
    assert [pixels(cache) for cache in caches] == expected


def test_a_photo_whose_pixels_have_changed_on_disk_is_decoded_again(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = PhotoCache(split, 40, P, Room(0, AMPLE))
    expected = pixels(cache)
    monkeypatch.setattr(os, "pread", lambda file, count, offset: b"\0" * count)
    assert pixels(cache) == expected


def test_a_full_disk_ends_no_training(split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    cache = PhotoCache(split, 40, P, Room(0, AMPLE))
    assert pixels(cache) == pixels(cache)
    assert where(cache.line()) == (0, 0, 12)


def test_a_large_photo_is_scaled_to_its_short_side(tmp_path: Path) -> None:
    for name, size in (("wide", (301, 200)), ("high", (60, 400))):
        folder = tmp_path / name
        folder.mkdir()
        noise = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
        Image.fromarray(noise).save(folder / "photo.png")
    split = Split("train", (tmp_path / "wide" / "photo.png", tmp_path / "high" / "photo.png"), (0, 1))
    cache = PhotoCache(split, 36, P, Room(AMPLE, 0))
    assert [cache.photo(number).shape for number in (0, 1)] == [(36, 54, 3), (240, 36, 3)]
    whole = decode(split.files[0].read_bytes())
    assert cache.photo(0).tobytes() == whole.resize((54, 36), Image.Resampling.BICUBIC).tobytes()


def test_small_crops_are_taken_from_larger_photos() -> None:
    assert short_side(Config(), P) == 36
    assert short_side(Config(min_crop=1.0), P) == 36
    assert short_side(Config(min_crop=0.08), P) == 90


def test_the_weights_are_the_same_wherever_photos_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And after a resume, which begins with nothing kept."""
    config = Config(weights="none", fine_tune="full", image_size=32, epochs=2, batch_size=8, learning_rate=0.001)
    rooms = {"memory": Room(AMPLE, 0), "both": Room(5 * PHOTO_BYTES, 3 * PHOTO_BYTES)}
    for name, room in rooms.items():
        monkeypatch.setattr(learners, "room_for_photos", lambda room=room: room)
        (tmp_path / name).mkdir()
        train_rank(data, tmp_path / name, config, ONE_HOST, "batch", never)
    (tmp_path / "resumed").mkdir()
    train_rank(data, tmp_path / "resumed", config, ONE_HOST, "batch", StopAfter(7))
    train_rank(data, tmp_path / "resumed", config, ONE_HOST, "batch", never)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("photos ")]
    assert [where(line) for line in lines] == [(12, 0, 0), (5, 3, 4), (5, 3, 4), (5, 3, 4)]
    weights = [trained_weights(tmp_path / name, 0) for name in (*rooms, "resumed")]
    assert all(equal_tensors(weights[0], others) for others in weights[1:])
