"""What all parts of a training share: its config, its data, the device, and the ways to stop and to say something."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ml.config import Config
from ml.data import Dataset
from ml.distributed import ONE_HOST, Ranks
from ml.errors import Stopped
from ml.preprocess import Preprocessing
from ml.profiling import Timers, Tracer
from ml.tensorboard import Board

Batches = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Paths:
    """Folders of a job: `data` holds the channels, `model` the artifact, `output` the evaluation's files."""

    data: Path
    model: Path
    output: Path
    checkpoints: Path
    tensorboard: Path | None = None  # None: no event files are wanted


@dataclass(frozen=True)
class Context:
    """What a learner needs besides the network.

    `stop` is called before each batch and says whether the job must stop. `say` prints a line. `workers` is the number
    of threads that decode pictures. `ranks` share each batch, so all of them see the same number of batches. `tracer`
    is there when the first training steps are to be traced.
    """

    config: Config
    dataset: Dataset
    preprocessing: Preprocessing
    device: torch.device
    workers: int
    stop: Callable[[], bool]
    say: Callable[[str], None]
    ranks: Ranks = ONE_HOST
    timers: Timers = field(default_factory=Timers)
    tracer: Tracer | None = None
    board: Board = field(default_factory=Board)

    def check_stopped(self) -> None:
        """Raises Stopped when the job must stop on any rank. All ranks must call it equally often."""
        if self.ranks.any(self.stop()):
            raise Stopped

    def until_stopped(self, source: Batches) -> Batches:
        """The batches, moved to the device. Raises Stopped before a batch when the job must stop on any rank."""
        for inputs, labels in source:
            self.check_stopped()
            yield inputs.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
