"""Runs the model on PyTorch, for the image's target `gpu`. Only this file of the server needs torch.

It builds the network from the artifact's weights as the trainer does, on the first CUDA device or else on the CPU.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ml.artifact import WEIGHTS_FILE, BadArtifact, ModelCard
from ml.config import BACKBONES, Config
from ml.model import build, fused
from ml.weights import Weights

_LOG = logging.getLogger("serve")


def load(folder: Path, card: ModelCard) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function float32 (N, 3, size, size) -> float32 (N, classes) for many threads. Raises BadArtifact. The function,
    and this one, raise MemoryError when the GPU's memory is full."""
    if card.backbone not in BACKBONES:
        raise BadArtifact(f"The backbone {card.backbone!r} is unknown; known are {', '.join(BACKBONES)}.")
    network = build(Config(backbone=card.backbone), len(card.classes), Weights(None, {"source": WEIGHTS_FILE}))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadArtifact(f"{WEIGHTS_FILE} cannot be loaded as {card.backbone}: {error}") from error
    device = _device()
    network.body = fused(network.body)
    with memory_errors():
        network = network.to(device).eval()

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode(), memory_errors():
            logits: npt.NDArray[np.float32] = network(torch.from_numpy(batch).to(device)).cpu().numpy()
        return logits

    return run


@contextmanager
def memory_errors() -> Iterator[None]:
    """Raises MemoryError in the place of PyTorch's exception for a GPU whose memory is full."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error


def _device() -> torch.device:
    """The device to run on, which the log names."""
    if not torch.cuda.is_available():
        _LOG.warning("no CUDA device: PyTorch runs on the CPU; start the container with one: docker run --gpus all")
        return torch.device("cpu")
    # TF32 computes convolutions with 10 bits of mantissa, and the logits would differ from those of ONNX on a CPU.
    torch.backends.cudnn.allow_tf32 = False
    _LOG.info("PyTorch runs on the CUDA device %s", torch.cuda.get_device_name(0))
    return torch.device("cuda", 0)
