"""Writes a trained network as an artifact: safetensors for training on, ONNX for serving, a card in JSON.

The ONNX file is run and compared with PyTorch before anything appears in the folder, and the card comes last:
a reader never finds a model that was not checked or is half written.
"""

import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ml.artifact import CARD_FILE, ONNX_FILE, ONNX_INPUT, ONNX_OUTPUT, WEIGHTS_FILE, ModelCard
from ml.errors import JobError

OPSET = 18
TOLERANCE = 1e-3  # of the logits' largest size; float32 kernels of two libraries differ by about 1e-5
_PACKAGES = ("torch", "torchvision", "timm", "onnx", "onnxscript", "onnxruntime", "numpy", "pillow", "safetensors")


class ExportError(JobError):
    """The exported graph does not compute what the network computes."""


def versions() -> dict[str, str]:
    """The packages that made a model, for its card."""
    return {name: version(name) for name in _PACKAGES}


def export(model: nn.Module, card: ModelCard, images: Tensor, folder: Path) -> None:
    """Writes model.safetensors, model.onnx and model.json into `folder`.

    `images` float32 (N >= 2, 3, S, S) are what ONNX is compared on. Raises ExportError, and then writes nothing.
    """
    model = model.eval().cpu()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
        partial = Path(temporary)
        _write_onnx(model, images[:2], partial / ONNX_FILE)
        check(model, partial / ONNX_FILE, images)
        state: Mapping[str, Tensor] = model.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, partial / WEIGHTS_FILE, {"format": "pt"})
        (partial / WEIGHTS_FILE).chmod(0o644)  # safetensors writes for its owner only
        (partial / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
        (folder / CARD_FILE).unlink(missing_ok=True)  # an older card must not describe the new weights
        for name in (WEIGHTS_FILE, ONNX_FILE, CARD_FILE):
            (partial / name).replace(folder / name)


def check(model: nn.Module, path: Path, images: Tensor) -> float:
    """The largest difference of ONNX's logits from the network's, for one image and for all. Raises ExportError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch in (images[:1], images):
        with torch.inference_mode():
            expected = model(batch).numpy()
        found = session.run([ONNX_OUTPUT], {ONNX_INPUT: batch.numpy()})[0]
        if found.shape != expected.shape:
            raise ExportError(f"The ONNX model answers {found.shape}, not {expected.shape}.")
        difference = float(np.abs(found - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise ExportError(f"The ONNX model's logits differ from PyTorch's by {difference:.3g}.")
        largest = max(largest, difference)
    return largest


def _write_onnx(model: nn.Module, example: Tensor, path: Path) -> None:
    for module in model.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 - not every module has it; the exporter takes three times as long over in-place activations
    free: dict[int, Any] = {0: torch.export.Dim("n", min=1)}
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[ONNX_INPUT],
        output_names=[ONNX_OUTPUT],
        dynamic_shapes=(free,),
    )
    if program is None:
        raise ExportError("PyTorch's exporter gave no ONNX program.")
    for node in program.model.graph:
        node.metadata_props.clear()  # the trainer's source lines and paths are nobody's business
    program.save(path, external_data=False)
