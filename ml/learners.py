"""The two kinds of fine-tuning behind one interface, which tells the training loop what to train and on which batches.

HeadLearner trains on the features of the frozen backbone, which ml/features.py computes once: an epoch takes
milliseconds. FullLearner trains every weight, on new random crops in each epoch.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ml import batches
from ml.context import Batches, Context
from ml.data import Split
from ml.features import Features
from ml.memory import keep_freed_memory, room_for_photos
from ml.model import Classifier, without_copies
from ml.photo_cache import PhotoCache, short_side
from ml.profiling import PHOTOS

TrainBatches = Iterator[tuple[Tensor, Tensor, int]]


class Learner(Protocol):
    """`module` holds the weights to train, on so many `examples` in each epoch. Batches are on the device, and depend
    only on the seed and the epoch."""

    module: nn.Module
    examples: int

    def train_batches(self, epoch: int) -> TrainBatches:
        """The shuffled batches of an epoch as (inputs of `module`, labels, size): this rank's part, and the size of the
        whole batch. Raises Stopped."""

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU. Raises Stopped."""


class HeadLearner:
    """Trains the head on features."""

    def __init__(self, model: Classifier, context: Context, features: Features) -> None:
        self.module: nn.Module = model.head
        self._context, self._features, self._train = context, features, features.train()
        labels = torch.tensor(context.dataset.splits["train"].labels)
        self._labels = labels.repeat(len(self._train) // len(labels))
        self.examples = len(self._labels)

    def train_batches(self, epoch: int) -> TrainBatches:
        """Batches of features (<=batch_size, F), labels and the size of the whole batch. Raises Stopped."""
        context = self._context
        indices = batches.batch_indices(len(self._labels), context.config, epoch)
        parts = (torch.from_numpy(context.ranks.part(batch)) for batch in indices)
        source = context.until_stopped((self._train[part], self._labels[part]) for part in parts)
        return _with_sizes(source, indices)

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU."""
        with torch.no_grad():
            logits = self.module(self._features.tensors[split].to(self._context.device)).cpu()
        return logits, torch.tensor(self._context.dataset.splits[split].labels)


class FullLearner:
    """Trains every weight of the network."""

    def __init__(self, model: Classifier, context: Context) -> None:
        self.module: nn.Module = model.to(memory_format=torch.channels_last)
        self._context, self._has_said = context, False
        if context.device.type == "cpu":
            keep_freed_memory()
            without_copies(self.module)
        side = short_side(context.config, context.preprocessing)
        split = context.dataset.splits["train"]
        self.photos = PhotoCache(split, side, context.preprocessing, room_for_photos())
        self.examples = len(split)

    def train_batches(self, epoch: int) -> TrainBatches:
        """Batches of images (<=batch_size, 3, S, S), labels and the size of the whole batch. Raises Stopped."""
        context = self._context
        split = context.dataset.splits["train"]
        indices = batches.batch_indices(len(split), context.config, epoch)
        parts = [context.ranks.part(batch) for batch in indices]
        pinned = context.device.type == "cuda"
        source = batches.augmented(
            self.photos, parts, context.preprocessing, context.config, context.workers, epoch, pinned
        )
        moved = context.until_stopped(context.timers.each(PHOTOS, source))
        yield from _with_sizes(moved, indices)
        if not self._has_said:
            self._has_said = True
            context.say(self.photos.line())

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
    return context.timers.each(PHOTOS, batches.fixed(split, context.preprocessing, size, context.workers))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)
