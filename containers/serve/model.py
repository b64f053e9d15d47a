"""Loads, checks and warms the exported model, and runs it on ONNX Runtime or on PyTorch (cuda.py).

Several requests use the cores at the same time: every model thread decodes and runs alone. ONNX Runtime's own threads
help only when there is one request, and never spin: on a busy machine spinning halved the throughput.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from ml.artifact import ONNX_FILE, ONNX_INPUT, ONNX_OUTPUT, WEIGHTS_FILE, BadArtifact, ModelCard, read_card
from ml.photos import BadImage
from ml.preprocess import preprocess, to_array

# An image as a request holds it: an encoded file, uint8 (H, W, 3) pixels, or float32 (3, size, size), ready.
type Item = bytes | npt.NDArray[np.uint8] | npt.NDArray[np.float32]
type Logits = npt.NDArray[np.float32]
type Engine = Callable[[npt.NDArray[np.float32]], Logits]  # (N, 3, size, size) -> (N, classes); from many threads

_MEMORY_FACTOR = 2  # (ours) a model's memory over the size of its file; 1.5 was measured
_MODEL_BYTES = 8 << 20  # (ours) and this for each model


class Model:
    """A loaded and warmed model. Safe to call from many threads."""

    def __init__(self, card: ModelCard, engine: Engine) -> None:
        self.card = card
        self._engine = engine

    @classmethod
    def load(cls, folder: Path, threads: int, engine: str, *, keeps_buffers: bool = True) -> "Model":
        """Reads the artifact in `folder` and warms it on `engine`, onnx or torch. Raises BadArtifact, MemoryError.

        Without `keeps_buffers`, ONNX Runtime frees a batch's memory after the batch. A run is about a tenth slower, and
        a model takes a third of the memory (measured: 20 MB in the place of 66 for EfficientNet-Lite0)."""
        card = read_card(folder)
        if engine == "torch":
            from containers.serve import cuda  # only the image serve-gpu has torch

            model = cls(card, cuda.load(folder, card))
        else:
            model = cls(card, _onnx(folder, threads, keeps_buffers))
        model._warm()
        return model

    def to_input(self, item: Item) -> npt.NDArray[np.float32]:
        """The image as float32 (3, size, size). Raises BadImage."""
        if isinstance(item, bytes):
            return preprocess(item, self.card.preprocessing)
        if item.dtype == np.uint8:
            return to_array(Image.fromarray(item), self.card.preprocessing)
        size = self.card.preprocessing.size
        if item.shape != (3, size, size):
            raise BadImage(f"A float32 image must have the shape (3, {size}, {size}), not {item.shape}.")
        return item.astype(np.float32, copy=False)

    def run(self, batch: npt.NDArray[np.float32]) -> Logits:
        """float32 (N, 3, size, size) -> float32 (N, classes)."""
        return self._engine(batch)

    def _warm(self) -> None:
        """Runs one image, then two, which ends lazy initialisation and checks the graph. Raises BadArtifact."""
        size, classes = self.card.preprocessing.size, len(self.card.classes)
        for count in (1, 2):
            try:
                shape = self.run(np.zeros((count, 3, size, size), np.float32)).shape
            except MemoryError:
                raise
            except Exception as error:  # ONNX Runtime's exceptions have no common base
                raise BadArtifact(f"The model cannot run {count} x 3 x {size} x {size}: {error}") from error
            if shape != (count, classes):
                raise BadArtifact(f"The model answers {shape} where the model card has {classes} classes.")


def memory_bytes(folder: Path, engine: str) -> int:
    """The memory that the model in `folder` will take, without that of a batch: an estimate from the size of its file,
    higher than what was measured. 0 without a file, which cannot be loaded. Raises OSError."""
    path = folder / (WEIGHTS_FILE if engine == "torch" else ONNX_FILE)
    return _MODEL_BYTES + _MEMORY_FACTOR * path.stat().st_size if path.is_file() else 0


def _onnx(folder: Path, threads: int, keeps_buffers: bool) -> Engine:
    options = _options(threads)
    options.enable_cpu_mem_arena = keeps_buffers
    try:
        session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise BadArtifact(f"{ONNX_FILE} cannot be loaded: {error}") from error
    return lambda batch: np.asarray(session.run([ONNX_OUTPUT], {ONNX_INPUT: batch})[0])


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    return options
