"""Pictures on disk to batches of tensors, decoded in threads while the network works.

What is random (order, crops, mirroring) depends only on the seed and the epoch, never on what ran before:
that is what makes a resumed training equal to an uninterrupted one.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ml.config import Config
from ml.data import Split, bad_image
from ml.preprocess import INTERPOLATIONS, BadImage, Preprocessing, decode, normalise, preprocess

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def fixed(split: Split, preprocessing: Preprocessing, size: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The split in its order, preprocessed as in serving: images float32 (<=size, 3, S, S), labels int64."""

    def make(index: int) -> Floats:
        try:
            return preprocess(split.files[index].read_bytes(), preprocessing)
        except BadImage as error:
            raise bad_image(split.files[index], error) from error

    pieces = [np.arange(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    return _batches(split, pieces, make, workers)


def augmented(
    split: Split, pieces: Sequence[Indices], preprocessing: Preprocessing, config: Config, workers: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The given pieces of the split, each picture a random crop, perhaps mirrored. Shapes as in `fixed`."""

    def make(index: int) -> Floats:
        random = np.random.default_rng((config.seed, epoch, index))
        return random_view(split.files[index], preprocessing, config, random)

    return _batches(split, pieces, make, workers)


def pieces(count: int, config: Config, epoch: int) -> list[Indices]:
    """The batches of an epoch over `count` examples, as their numbers."""
    return list(chunks(shuffled(count, config.seed, epoch), config.batch_size))


def shuffled(count: int, seed: int, epoch: int) -> Indices:
    """The order of `count` examples in an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def chunks(order: Indices, size: int) -> Iterator[Indices]:
    """`order` in pieces of `size`; a last piece of one is left out of several, since batch norm cannot train on it."""
    for start in range(0, len(order), size):
        if start == 0 or start + 1 < len(order):
            yield order[start : start + size]


def random_view(path: Path, preprocessing: Preprocessing, config: Config, random: np.random.Generator) -> Floats:
    """A crop of random area (min_crop..1), shape (3:4..4:3) and place, at the model's size: float32 (3, S, S)."""
    try:
        image = decode(path.read_bytes(), short_side=2 * preprocessing.resize)
    except BadImage as error:
        raise bad_image(path, error) from error
    width, height = image.size
    area = width * height * random.uniform(config.min_crop, 1.0)
    ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide, high = min(width, (area * ratio) ** 0.5), min(height, (area / ratio) ** 0.5)
    left, top = random.uniform(0, width - wide), random.uniform(0, height - high)
    size, box = (preprocessing.size, preprocessing.size), (left, top, left + wide, top + high)
    view = image.resize(size, INTERPOLATIONS[preprocessing.interpolation], box=box)
    if config.flip and random.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return normalise(np.asarray(view), preprocessing)


def _batches(
    split: Split, pieces: Sequence[Indices], make: Callable[[int], Floats], workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    with ThreadPoolExecutor(workers) as pool:
        for piece, arrays in zip(pieces, _ahead(pool, make, pieces), strict=True):
            labels = torch.tensor([split.labels[index] for index in piece])
            yield torch.from_numpy(np.stack(arrays)), labels


def _ahead(
    pool: ThreadPoolExecutor, make: Callable[[int], Floats], pieces: Sequence[Indices]
) -> Iterator[list[Floats]]:
    """The made pieces in order, two being made while one is used: bounded memory, busy threads."""
    waiting: deque[list[Future[Floats]]] = deque()
    try:
        for piece in pieces:
            waiting.append([pool.submit(make, int(index)) for index in piece])
            if len(waiting) > 2:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        for futures in waiting:
            for future in futures:
                future.cancel()
