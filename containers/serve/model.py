"""A loaded model: its card, what makes its input of an image, and the engine that runs it (engines.py)."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from containers.serve.engines import Batch, Engine, EngineChoice, Logits, load_engine
from ml.artifact import ONNX_FILE, WEIGHTS_FILE, BadArtifact, ModelCard, read_card
from ml.photos import BadImage
from ml.preprocess import preprocess, to_array

# An image as a request holds it: an encoded file, uint8 (H, W, 3) pixels, or float32 (3, size, size), ready.
type Item = bytes | npt.NDArray[np.uint8] | npt.NDArray[np.float32]

# (ours) A model's memory by engine: a number of bytes, and this many times the size of its file. Measured: 1.5 times
# with ONNX Runtime; with OpenVINO 2.7 times for ResNet-50, and 90 MB for MobileNetV3-L, whose file has 17.
_MEMORY = {"onnx": (8 << 20, 2), "torch": (8 << 20, 2), "openvino": (64 << 20, 3)}


class Model:
    """A loaded and warmed model. Safe to call from many threads."""

    def __init__(self, card: ModelCard, engine: Engine) -> None:
        self.card = card
        self.engine = engine  # may be replaced at any time: a batch that has begun keeps the one that it began with

    @classmethod
    def load(cls, folder: Path, threads: int, choice: EngineChoice, *, keeps_buffers: bool = True) -> "Model":
        """Reads the artifact in `folder`, and loads it as chosen. Raises BadArtifact, also for a precision in which the
        model's accuracy is not known, and MemoryError."""
        card = read_card(folder)
        if choice.precision not in card.measured_precisions:
            raise BadArtifact(f"The model card does not say how accurate the model is in {choice.precision}.")
        return cls(card, load_engine(folder, card, choice, threads, keeps_buffers=keeps_buffers))

    def to_input(self, item: Item) -> npt.NDArray[np.float32]:
        """The image as float32 (3, size, size). Raises BadImage."""
        if isinstance(item, bytes):
            return preprocess(item, self.card.preprocessing)
        if item.dtype == np.uint8:
            return to_array(item.astype(np.uint8, copy=False), self.card.preprocessing)
        size = self.card.preprocessing.size
        if item.shape != (3, size, size):
            raise BadImage(f"A float32 image must have the shape (3, {size}, {size}), not {item.shape}.")
        return item.astype(np.float32, copy=False)

    def run(self, batch: Batch) -> Logits:
        """float32 (N, 3, size, size) -> float32 (N, classes)."""
        return self.engine.run(batch)


def memory_bytes(folder: Path, engine: str) -> int:
    """The memory that the model in `folder` will take, without that of a batch: an estimate from the size of its file,
    higher than what was measured. 0 without a file, which cannot be loaded. Raises OSError."""
    path, (constant, factor) = folder / (WEIGHTS_FILE if engine == "torch" else ONNX_FILE), _MEMORY[engine]
    return constant + factor * path.stat().st_size if path.is_file() else 0
