"""The model on PyTorch, for the image's target `gpu`: the only file of the server that needs torch.

It rebuilds the network from the artifact's weights, as the trainer does. On the first CUDA device, else on the CPU.
"""

import logging
from collections.abc import Callable
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
    """float32 (N, 3, size, size) -> float32 (N, classes), callable from many threads. Raises BadArtifact."""
    if card.backbone not in BACKBONES:
        raise BadArtifact(f"The backbone {card.backbone!r} is unknown; known are {', '.join(BACKBONES)}.")
    network = build(Config(backbone=card.backbone), len(card.classes), Weights(None, {"source": WEIGHTS_FILE}))
    try:
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadArtifact(f"{WEIGHTS_FILE} cannot be loaded as {card.backbone}: {error}") from error
    device = _device()
    network.body = fused(network.body)
    network = network.to(device).eval()

    def run(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = network(torch.from_numpy(batch).to(device)).cpu().numpy()
        return logits

    return run


def _device() -> torch.device:
    """What it runs on; the log says it."""
    if not torch.cuda.is_available():
        _LOG.warning("no CUDA device: PyTorch runs on the CPU; start the container with one: docker run --gpus all")
        return torch.device("cpu")
    # Else convolutions are computed with 10 bits of mantissa, and the logits are not those of ONNX on a CPU.
    torch.backends.cudnn.allow_tf32 = False
    _LOG.info("PyTorch runs on the CUDA device %s", torch.cuda.get_device_name(0))
    return torch.device("cuda", 0)
