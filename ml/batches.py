"""Makes batches of tensors from pictures on disk; threads decode the next ones while the network computes.

What is random (order, crops, mirroring) depends only on the seed and the epoch, never on what ran before. Because of
that, a resumed training equals an uninterrupted one.
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
from ml.photos import BadImage, decode
from ml.preprocess import INTERPOLATIONS, Preprocessing, normalise, preprocess

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def fixed(split: Split, preprocessing: Preprocessing, size: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of the split in its order, preprocessed as in serving: images float32 (<=size, 3, S, S), labels int64.

    `size` is in pictures. Raises DataError, which names the file, for a broken picture."""

    def load(index: int) -> Floats:
        try:
            return preprocess(split.files[index].read_bytes(), preprocessing)
        except BadImage as error:
            raise bad_image(split.files[index], error) from error

    batches = [np.arange(start, min(start + size, len(split))) for start in range(0, len(split), size)]
    return _load_batches(split, batches, load, workers)


def augmented(
    split: Split, batches: Sequence[Indices], preprocessing: Preprocessing, config: Config, workers: int, epoch: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The given batches of the split; each picture is cropped at random and may be mirrored. Shapes and errors as in
    `fixed`."""

    def load(index: int) -> Floats:
        random = np.random.default_rng((config.seed, epoch, index))
        return random_view(split.files[index], preprocessing, config, random)

    return _load_batches(split, batches, load, workers)


def batch_indices(count: int, config: Config, epoch: int) -> list[Indices]:
    """The batches of an epoch over `count` examples; each batch is the numbers of its examples."""
    return list(cut(shuffled(count, config.seed, epoch), config.batch_size))


def shuffled(count: int, seed: int, epoch: int) -> Indices:
    """The random order of `count` examples in an epoch."""
    return np.random.default_rng((seed, epoch)).permutation(count)


def cut(order: Indices, size: int) -> Iterator[Indices]:
    """`order` in batches of `size`. A last batch of one example is left out unless it is the only one: batch norm
    cannot train on it."""
    for start in range(0, len(order), size):
        if start == 0 or start + 1 < len(order):
            yield order[start : start + size]


def random_view(path: Path, preprocessing: Preprocessing, config: Config, random: np.random.Generator) -> Floats:
    """A crop of random area (min_crop..1), aspect ratio (3:4..4:3) and position, at the model's size.

    Returns float32 (3, S, S). Raises DataError, which names the file, for a broken picture."""
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


def _load_batches(
    split: Split, batches: Sequence[Indices], load: Callable[[int], Floats], workers: int
) -> Iterator[tuple[Tensor, Tensor]]:
    with ThreadPoolExecutor(workers) as pool:
        for batch, arrays in zip(batches, load_ahead(pool, load, batches), strict=True):
            labels = torch.tensor([split.labels[index] for index in batch])
            yield torch.from_numpy(np.stack(arrays)), labels


def load_ahead[Loaded](
    pool: ThreadPoolExecutor, load: Callable[[int], Loaded], batches: Sequence[Indices]
) -> Iterator[list[Loaded]]:
    """The loaded batches in order. Two are loaded while one is used, which bounds the memory and keeps threads busy."""
    waiting: deque[list[Future[Loaded]]] = deque()
    try:
        for batch in batches:
            waiting.append([pool.submit(load, int(index)) for index in batch])
            if len(waiting) > 2:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        for futures in waiting:
            for future in futures:
                future.cancel()
