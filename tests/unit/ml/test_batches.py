"""Batches are complete, in order, the same for the same seed and epoch, and equal to what serving computes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ml.batches import augmented, batch_indices, cut, fixed, mirrored, shuffled
from ml.config import Config
from ml.data import DataError, Split, scan
from ml.memory import Room
from ml.photo_cache import PhotoCache
from ml.preprocess import Preprocessing, preprocess
from ml.resize import VERSIONS
from tests.unit.ml.data import write_dataset

P = Preprocessing(32, 36, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def cached(split: Split) -> PhotoCache:
    return PhotoCache(split, 36, P, Room(10**9, 0))


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return scan(write_dataset(tmp_path, each=3)).splits["train"]


@pytest.mark.parametrize("version", VERSIONS)
def test_fixed_is_what_serving_computes(split: Split, version: int) -> None:
    p = replace(P, version=version)
    found = list(fixed(split, p, 4, 2))
    assert [len(images) for images, _ in found] == [4, 4, 1]
    expected = np.stack([preprocess(path.read_bytes(), p) for path in split.files])
    assert np.array_equal(torch.cat([images for images, _ in found]).numpy(), expected)
    assert torch.cat([labels for _, labels in found]).tolist() == list(split.labels)


def test_augmented_depends_on_seed_and_epoch_only(split: Split) -> None:
    config, photos = Config(batch_size=4, image_size=32), cached(split)

    def epoch(number: int, config: Config = config) -> torch.Tensor:
        indices = batch_indices(9, config, number)
        return torch.cat([images for images, _ in augmented(photos, indices, P, config, 2, number)])

    first = epoch(1)
    assert first.shape == (8, 3, 32, 32)  # the ninth would be a batch of one
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(epoch(1), first)
    assert not torch.equal(epoch(2), first)
    assert not torch.equal(epoch(1, replace(config, seed=1)), first)


def test_mirrored_exchanges_left_and_right() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(mirrored(pixels), np.fliplr(pixels))
    pixels.flags.writeable = False
    assert np.array_equal(mirrored(mirrored(pixels)), pixels)


def test_the_order_is_a_permutation() -> None:
    assert sorted(shuffled(10, 0, 3)) == list(range(10))
    assert [len(batch) for batch in cut(np.arange(10), 4)] == [4, 4, 2]
    assert [len(batch) for batch in cut(np.arange(9), 4)] == [4, 4]


def test_a_broken_file_is_named(split: Split) -> None:
    split.files[5].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"^train/green/2\.png cannot be used"):
        list(fixed(split, P, 2, 2))
    with pytest.raises(DataError, match=r"^train/green/2\.png cannot be used"):
        list(augmented(cached(split), batch_indices(9, Config(), 1), P, Config(), 2, 1))
