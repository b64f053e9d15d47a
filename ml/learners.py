"""The two kinds of fine-tuning as one interface for the training loop: what is trained, on which batches.

HeadLearner runs the frozen backbone once over every picture (and its mirror image) and keeps the features in memory:
after that an epoch takes milliseconds. FullLearner trains every weight on pictures cropped anew in each epoch.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ml import batches
from ml.config import Config
from ml.data import Dataset, Split
from ml.model import Classifier, fused
from ml.preprocess import Preprocessing

Batches = Iterator[tuple[Tensor, Tensor]]
_PROGRESS_S = 2.0  # seconds between two progress lines of a feature extraction


class Stopped(Exception):
    """The job was asked to stop; the work in hand was dropped."""


@dataclass(frozen=True)
class Context:
    """What a learner needs beside the network. `stop` is asked at each batch, `say` prints a line, `workers` decode."""

    config: Config
    dataset: Dataset
    preprocessing: Preprocessing
    device: torch.device
    workers: int
    stop: Callable[[], bool]
    say: Callable[[str], None]

    def until_stopped(self, source: Batches) -> Batches:
        """The batches on the device. Raises Stopped between two of them once the job must stop."""
        for inputs, labels in source:
            if self.stop():
                raise Stopped
            yield inputs.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class Learner(Protocol):
    """`module` holds the weights that are trained; batches are on the device, and depend on seed and epoch only."""

    module: nn.Module

    def train_batches(self, epoch: int) -> Batches:
        """(inputs of `module`, labels), shuffled. Raises Stopped."""

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of a split in its order, and labels (N,), both on the CPU. Raises Stopped."""


class HeadLearner:
    """Trains the head on features computed once: train's and valid's by the constructor, which raises Stopped."""

    def __init__(self, model: Classifier, context: Context) -> None:
        self.module: nn.Module = model.head
        self._context = context
        self._body = fused(model.body).to(context.device).to(memory_format=torch.channels_last)
        self._features, self._labels = self._extract("train", mirrored=context.config.flip)
        self._cache = {"valid": self._extract("valid", mirrored=False)}

    def train_batches(self, epoch: int) -> Batches:
        """Features (<=batch_size, F) and labels."""
        config = self._context.config
        order = batches.shuffled(len(self._labels), config.seed, epoch)
        pieces = (torch.from_numpy(piece) for piece in batches.chunks(order, config.batch_size))
        return self._context.until_stopped((self._features[piece], self._labels[piece]) for piece in pieces)

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """See Learner."""
        if split not in self._cache:
            self._cache[split] = self._extract(split, mirrored=False)
        features, labels = self._cache[split]
        with torch.no_grad():
            return self.module(features.to(self._context.device)).cpu(), labels

    def _extract(self, name: str, mirrored: bool) -> tuple[Tensor, Tensor]:
        """Features (views * N, F) and labels (views * N,), on the CPU; the mirrored views follow the plain ones."""
        context, split = self._context, self._context.dataset.splits[name]
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        meter = _Meter(name, len(split), context.say)
        with torch.no_grad():
            for images, _ in context.until_stopped(_fixed(context, split)):
                for view, flipped in zip(views[: 1 + mirrored], (images, images.flip(3)), strict=False):
                    view.append(self._body(flipped.contiguous(memory_format=torch.channels_last)).cpu())
                meter.add(len(images))
        labels = torch.tensor(split.labels)
        return torch.cat(views[0] + views[1]), labels.repeat(1 + mirrored)


class FullLearner:
    """Trains every weight of the network."""

    def __init__(self, model: Classifier, context: Context) -> None:
        self.module: nn.Module = model.to(memory_format=torch.channels_last)
        self._context = context

    def train_batches(self, epoch: int) -> Batches:
        """Images (<=batch_size, 3, S, S) and labels."""
        context = self._context
        split = context.dataset.splits["train"]
        source = batches.augmented(split, context.preprocessing, context.config, context.workers, epoch)
        return context.until_stopped((_channels_last(images), labels) for images, labels in source)

    def logits(self, split: str) -> tuple[Tensor, Tensor]:
        """See Learner."""
        context = self._context
        rows, labels = [], []
        self.module.eval()
        with torch.no_grad():
            for images, targets in context.until_stopped(_fixed(context, context.dataset.splits[split])):
                rows.append(self.module(_channels_last(images)).cpu())
                labels.append(targets.cpu())
        return torch.cat(rows), torch.cat(labels)


def sample(context: Context, count: int) -> Tensor:
    """`count` validation images spread over the classes (fewer if there are not so many): float32 (n, 3, S, S)."""
    split = context.dataset.splits["valid"]
    picked = np.unique(np.linspace(0, len(split) - 1, count).astype(int))
    part = Split(split.name, tuple(split.files[i] for i in picked), tuple(split.labels[i] for i in picked))
    images, _ = next(batches.fixed(part, context.preprocessing, count, 1))
    return images


def _fixed(context: Context, split: Split) -> Batches:
    size = 128 if context.device.type == "cuda" else 4  # small batches stay in a CPU's cache: twice as fast as 32
    return batches.fixed(split, context.preprocessing, size, context.workers)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


class _Meter:
    """Prints how far an extraction is, at most every _PROGRESS_S seconds and at its end."""

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
