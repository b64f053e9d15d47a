"""Writes a trained network as an artifact: weights in safetensors, a graph in ONNX for serving, a model card in JSON.

The ONNX file is run and compared with PyTorch before any file appears in the folder, and the card is written last. So a
reader never finds a model that was not checked or is half written.
"""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ml.artifact import CARD_FILE, INT8_FILE, ONNX_FILE, ONNX_INPUT, ONNX_OUTPUT, WEIGHTS_FILE, ModelCard
from ml.errors import JobError

OPSET = 18
TOLERANCE = 1e-3  # relative to the largest logit; float32 kernels of two libraries differ by about 1e-5
_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "openvino",
    "numpy",
    "pillow",
    "safetensors",
)


class ExportError(JobError):
    """The exported graph does not compute what the network computes."""


def versions() -> dict[str, str]:
    """The version of each package that makes a model, for its card."""
    return {name: version(name) for name in _PACKAGES}


def export(
    model: nn.Module,
    card: ModelCard,
    images: Tensor,
    folder: Path,
    measure: Callable[[Path], Mapping[str, Any]] | None = None,
    graph: Path | None = None,
) -> ModelCard:
    """Writes model.safetensors, model.onnx and model.json into `folder`, and returns the card.

    ONNX and the network are compared on `images`, float32 (N >= 2, 3, S, S). What `measure` finds for the ONNX file
    becomes the card's metric `precisions`; an INT8_FILE that it writes beside that file becomes a part of the artifact.
    `graph` is what `write_graph` wrote before the head was trained; it saves
    the export. Raises ExportError, and then writes nothing.
    """
    model = model.eval().cpu()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as temporary:
        partial = Path(temporary)
        if graph:
            _write_with_head(graph, model, partial / ONNX_FILE)
        else:
            write_graph(model, images.shape[-1], partial / ONNX_FILE)
        check(model, partial / ONNX_FILE, images)
        if measure:
            card = replace(card, metrics=card.metrics | {"precisions": dict(measure(partial / ONNX_FILE))})
        state: Mapping[str, Tensor] = model.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, partial / WEIGHTS_FILE, {"format": "pt"})
        (partial / WEIGHTS_FILE).chmod(0o644)  # safetensors makes it readable to its owner only
        (partial / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
        for name in (CARD_FILE, INT8_FILE):  # those of an older model must not be taken for the new one's
            (folder / name).unlink(missing_ok=True)
        int8 = [INT8_FILE] if (partial / INT8_FILE).is_file() else []
        for name in (WEIGHTS_FILE, ONNX_FILE, *int8, CARD_FILE):
            (partial / name).replace(folder / name)
    return card


def check(model: nn.Module, path: Path, images: Tensor) -> float:
    """The largest difference between the logits of ONNX and of the network, for one image and for all images together.

    Raises ExportError when it is larger than TOLERANCE."""
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


def write_graph(model: nn.Module, size: int, path: Path) -> None:
    """Writes the network as ONNX for images (N, 3, size, size), without checking it. Raises ExportError."""
    for module in model.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 - not every module has it; in-place activations make the exporter three times slower
    any_count: dict[int, Any] = {0: torch.export.Dim("n", min=1)}
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 3, size, size),),
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=[ONNX_INPUT],
        output_names=[ONNX_OUTPUT],
        dynamic_shapes=(any_count,),
    )
    if program is None:
        raise ExportError("PyTorch's exporter gave no ONNX program.")
    for node in program.model.graph:
        node.metadata_props.clear()  # it holds source lines and paths of the training machine
    program.save(path, external_data=False)


def _write_with_head(graph: Path, model: nn.Module, path: Path) -> None:
    """Writes the graph with the head's weights that the model has now."""
    program = onnx.load(graph)
    heads = {name: value for name, value in model.state_dict().items() if name.startswith("head.")}
    for initializer in program.graph.initializer:
        if initializer.name in heads:
            initializer.CopyFrom(onnx.numpy_helper.from_array(heads[initializer.name].numpy(), initializer.name))
    onnx.save(program, path)
