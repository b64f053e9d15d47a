"""The two kinds of fine-tuning behind one interface, which tells the training loop what to train and on which batches.

HeadLearner runs the frozen backbone once over every picture (and its mirror image) and keeps the features in memory;
after that an epoch takes milliseconds. FullLearner trains every weight, on new random crops in each epoch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ml import batches
from ml.config import Config
from ml.data import Dataset, Split
from ml.distributed import ONE_HOST, Ranks
from ml.errors import Stopped
from ml.model import Classifier, fused
from ml.preprocess import Preprocessing

Batches = Iterator[tuple[Tensor, Tensor]]
TrainBatches = Iterator[tuple[Tensor, Tensor, int]]
_PROGRESS_S = 2.0  # between two progress lines of a feature extraction


@dataclass(frozen=True)
class Context:
    """What a learner needs besides the network.

    `stop` is called before each batch and says whether the job must stop. `say` prints a line. `workers` is the number
    of threads that decode pictures. `ranks` share each batch, so all of them see the same number of batches.
    """

    config: Config
    dataset: Dataset
    preprocessing: Preprocessing
    device: torch.device
    workers: int
    stop: Callable[[], bool]
    say: Callable[[str], None]
    ranks: Ranks = ONE_HOST

    def until_stopped(self, source: Batches) -> Batches:
        """The batches, moved to the device. Raises Stopped before a batch when the job must stop on any rank."""
        for inputs, labels in source:
            if self.ranks.any(self.stop()):
                raise Stopped
            yield inputs.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class Learner(Protocol):
    """`module` holds the weights to train. Batches are on the device, and depend only on the seed and the epoch."""

    module: nn.Module

    def train_batches(self, epoch: int) -> TrainBatches:
        """The shuffled batches of an epoch as (inputs of `module`, labels, size): this rank's part, and the size of the
        whole batch. Raises Stopped."""

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU. Raises Stopped."""


class HeadLearner:
    """Trains the head on features. The constructor computes those of train and valid, and raises Stopped."""

    def __init__(self, model: Classifier, context: Context) -> None:
        self.module: nn.Module = model.head
        self._context = context
        self._body = fused(model.body).to(context.device).to(memory_format=torch.channels_last)
        self._features, self._labels = self._extract("train", mirrored=context.config.flip)
        self._cache = {"valid": self._extract("valid", mirrored=False)}

    def train_batches(self, epoch: int) -> TrainBatches:
        """Batches of features (<=batch_size, F), labels and the size of the whole batch. Raises Stopped."""
        context = self._context
        indices = batches.batch_indices(len(self._labels), context.config, epoch)
        parts = (torch.from_numpy(context.ranks.part(batch)) for batch in indices)
        source = context.until_stopped((self._features[part], self._labels[part]) for part in parts)
        return _with_sizes(source, indices)

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU. Its features are computed at
        the first call only. Raises Stopped."""
        if split not in self._cache:
            self._cache[split] = self._extract(split, mirrored=False)
        features, labels = self._cache[split]
        with torch.no_grad():
            return self.module(features.to(self._context.device)).cpu(), labels

    def _extract(self, name: str, mirrored: bool) -> tuple[Tensor, Tensor]:
        """Features (views * N, F) and labels (views * N,), on the CPU; the mirrored views follow the plain ones.

        Each rank computes its share, and all ranks return all features."""
        context, split = self._context, self._context.dataset.splits[name]
        share = split.picked(context.ranks.shard(len(split)))
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        progress = _ProgressLines(name, len(share), context.say)
        with torch.no_grad():
            for images, _ in context.until_stopped(_fixed(context, share)):
                for view, flipped in zip(views[: 1 + mirrored], (images, images.flip(3)), strict=False):
                    view.append(self._body(flipped.contiguous(memory_format=torch.channels_last)).cpu())
                progress.add(len(images))
        features = [context.ranks.gather(torch.cat(view), len(split)) for view in views[: 1 + mirrored]]
        return torch.cat(features), torch.tensor(split.labels).repeat(1 + mirrored)


class FullLearner:
    """Trains every weight of the network."""

    def __init__(self, model: Classifier, context: Context) -> None:
        self.module: nn.Module = model.to(memory_format=torch.channels_last)
        self._context = context

    def train_batches(self, epoch: int) -> TrainBatches:
        """Batches of images (<=batch_size, 3, S, S), labels and the size of the whole batch. Raises Stopped."""
        context = self._context
        split = context.dataset.splits["train"]
        indices = batches.batch_indices(len(split), context.config, epoch)
        parts = [context.ranks.part(batch) for batch in indices]
        source = batches.augmented(split, parts, context.preprocessing, context.config, context.workers, epoch)
        moved = context.until_stopped((_channels_last(images), labels) for images, labels in source)
        return _with_sizes(moved, indices)

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU. Raises Stopped."""
        context, whole = self._context, self._context.dataset.splits[split]
        share = whole.picked(context.ranks.shard(len(whole)))
        self.module.eval()
        with torch.no_grad():
            source = context.until_stopped(_fixed(context, share))
            rows = [self.module(_channels_last(images)).cpu() for images, _ in source]
        return context.ranks.gather(torch.cat(rows), len(whole)), torch.tensor(whole.labels)


def sample(context: Context, count: int) -> Tensor:
    """At most `count` validation images, spread evenly over the classes: float32 (n, 3, S, S)."""
    split = context.dataset.splits["valid"]
    part = split.picked(np.unique(np.linspace(0, len(split) - 1, count).astype(int)))
    images, _ = next(batches.fixed(part, context.preprocessing, count, 1))
    return images


def _with_sizes(source: Batches, indices: Sequence[batches.Indices]) -> TrainBatches:
    return ((inputs, labels, len(batch)) for (inputs, labels), batch in zip(source, indices, strict=True))


def _fixed(context: Context, split: Split) -> Batches:
    size = 128 if context.device.type == "cuda" else 4  # a batch of 4 stays in a CPU's cache: twice as fast as 32
    return batches.fixed(split, context.preprocessing, size, context.workers)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


class _ProgressLines:
    """Says how far a feature extraction is, at most every _PROGRESS_S seconds and at its end."""

    def __init__(self, name: str, total: int, say: Callable[[str], None]) -> None:
        self._name, self._total, self._say, self._done = name, total, say, 0
        self._start = self._last = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last >= _PROGRESS_S or self._done == self._total:
            rate = self._done / max(now - self._start, 1e-9)
            self._say(f"features split={self._name} images={self._done}/{self._total} images_per_s={rate:.1f}")
            self._last = now
