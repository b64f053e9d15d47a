"""What runs a model: one interface over ONNX Runtime, OpenVINO and PyTorch.

An engine is data and one function, so that the server can replace it between two batches: a batch that has begun keeps
the engine that it began with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml.artifact import BadArtifact, ModelCard

type Batch = npt.NDArray[np.float32]  # (N, 3, size, size)
type Logits = npt.NDArray[np.float32]  # (N, classes)


@dataclass(frozen=True)
class EngineChoice:
    """`name` is onnx, openvino or torch, and `precision` f32, bf16 or int8. `streams` is the number of images that are
    computed at the same time, each by its share of the threads."""

    name: str
    precision: str = "f32"
    streams: int = 1

    def __str__(self) -> str:
        return f"{self.name} {self.precision} with {self.streams} streams"


# All threads for each batch: the best for a lone request, never far from the best for many, and the fastest to load.
SAFE_CHOICE = EngineChoice("onnx")


@dataclass(frozen=True)
class Engine:
    """A loaded graph. `run` may be called from many threads. Its memory is free when nothing refers to it."""

    choice: EngineChoice
    run: Callable[[Batch], Logits]


def load_engine(
    folder: Path, card: ModelCard, choice: EngineChoice, threads: int, *, keeps_buffers: bool = True
) -> Engine:
    """Loads the graph or the weights in `folder`, and runs them twice. Raises BadArtifact, MemoryError.

    Without `keeps_buffers`, ONNX Runtime frees a batch's memory after the batch. A run is about a tenth slower, and
    a model takes a third of the memory (measured: 20 MB in the place of 66 for EfficientNet-Lite0)."""
    # An engine is imported when it is used: each takes tenths of a second, and an image may lack some.
    match choice.name:
        case "torch":
            from containers.serve import cuda

            run = cuda.load(folder, card)
        case "openvino":
            from containers.serve import engine_openvino

            run = engine_openvino.load(folder, card, choice, threads)
        case _:
            from containers.serve import engine_onnx

            run = engine_onnx.load(folder, max(1, threads // choice.streams), keeps_buffers)
    _warm(run, card)
    return Engine(choice, run)


def _warm(run: Callable[[Batch], Logits], card: ModelCard) -> None:
    """Runs one image, then two: ends lazy initialisation and checks the graph. Raises BadArtifact, MemoryError."""
    size, classes = card.preprocessing.size, len(card.classes)
    for count in (1, 2):
        try:
            shape = run(np.zeros((count, 3, size, size), np.float32)).shape
        except MemoryError:
            raise
        except Exception as error:  # the engines' exceptions have no common base
            raise BadArtifact(f"The model cannot run {count} x 3 x {size} x {size}: {error}") from error
        if shape != (count, classes):
            raise BadArtifact(f"The model answers {shape} where the model card has {classes} classes.")
