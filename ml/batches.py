"""Makes batches of tensors from pictures on disk; threads decode the next ones while the network computes.

What is random (order, crops, mirroring) depends only on the seed and the epoch, never on what ran before. Because of
that, a resumed training equals an uninterrupted one.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ml.config import Config
from ml.data import Split, bad_image
from ml.photo_cache import PhotoCache
from ml.photos import BadImage
from ml.preprocess import Preprocessing, normalise_channels_last, preprocess
from ml.resize import Pixels, resize

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
    with ThreadPoolExecutor(workers) as pool:
        for batch, arrays in zip(batches, load_ahead(pool, load, map(_numbers, batches)), strict=True):
            yield torch.from_numpy(np.stack(arrays)), _labels(split, batch)


def augmented(
    photos: PhotoCache,
    batches: Sequence[Indices],
    preprocessing: Preprocessing,
    config: Config,
    workers: int,
    epoch: int,
    pinned: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The given batches of the cache's split; each picture is cropped at random and may be mirrored. Shapes and errors
    as in `fixed`, but the images are in the layout channels_last, and when `pinned` in memory that a GPU reads."""
    side, layout = preprocessing.size, torch.channels_last
    images = [torch.empty(0)] * len(batches)

    def load(place: tuple[int, int, int]) -> None:
        batch, row, index = place
        random = np.random.default_rng((config.seed, epoch, index))
        view = random_view(photos.photo(index), preprocessing, config, random)
        normalise_channels_last(view, preprocessing, images[batch].numpy()[row].transpose(1, 2, 0))

    def places() -> Iterator[list[tuple[int, int, int]]]:
        for number, batch in enumerate(batches):
            shape = (len(batch), 3, side, side)
            images[number] = torch.empty(shape, memory_format=layout, pin_memory=pinned)
            yield [(number, row, index) for row, index in enumerate(_numbers(batch))]

    with ThreadPoolExecutor(workers) as pool:
        for number, _ in enumerate(load_ahead(pool, load, places())):
            filled, images[number] = images[number], torch.empty(0)
            yield filled, _labels(photos.split, batches[number])


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


def random_view(photo: Pixels, preprocessing: Preprocessing, config: Config, random: np.random.Generator) -> Pixels:
    """A crop of random area (min_crop..1), aspect ratio (3:4..4:3) and position, at the model's size, mirrored or not:
    uint8 (S, S, 3)."""
    height, width, _ = photo.shape
    area = width * height * random.uniform(config.min_crop, 1.0)
    ratio = np.exp(random.uniform(np.log(3 / 4), np.log(4 / 3)))
    wide, high = min(width, (area * ratio) ** 0.5), min(height, (area / ratio) ** 0.5)
    left, top = random.uniform(0, width - wide), random.uniform(0, height - high)
    size, box = (preprocessing.size, preprocessing.size), (left, top, left + wide, top + high)
    view = resize(photo, size, box, preprocessing.interpolation, preprocessing.version)
    return mirrored(view) if config.flip and random.random() < 0.5 else view


def mirrored(pixels: Pixels) -> Pixels:
    """uint8 (H, W, 3), left and right exchanged. A pixel is copied as one item of three bytes, which is faster."""
    columns = pixels.view("V3")[:, ::-1]
    return np.ascontiguousarray(columns).view(np.uint8)


def load_ahead[Item, Loaded](
    pool: ThreadPoolExecutor, load: Callable[[Item], Loaded], batches: Iterable[Iterable[Item]]
) -> Iterator[list[Loaded]]:
    """The loaded batches in order. Two are loaded while one is used, which bounds the memory and keeps threads busy."""
    waiting: deque[list[Future[Loaded]]] = deque()
    try:
        for batch in batches:
            waiting.append([pool.submit(load, item) for item in batch])
            if len(waiting) > 2:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        for futures in waiting:
            for future in futures:
                future.cancel()


def _numbers(batch: Indices) -> list[int]:
    found: list[int] = batch.tolist()
    return found


def _labels(split: Split, batch: Indices) -> Tensor:
    return torch.tensor([split.labels[index] for index in batch])
