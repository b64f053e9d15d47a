"""Writes a graph with 8-bit weights and activations, which CPUs compute two to four times faster than float32.

The ranges of the activations are calibrated on photos of the training set. The graph is ONNX with a pair of quantize
and dequantize nodes before each layer, which OpenVINO turns into its own 8-bit kernels. Three rules keep its logits
near those of float32 (measured in docs/decisions/0023):
- the first layers stay in float, because what they lose grows in all others, and pixels have steps of their own;
- sums of branches stay in float, because their ranges are wide, and each would round what the one before has rounded;
- the bias of a layer takes back what the rounding of its weights adds to the mean of its outputs.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ml import batches
from ml.data import Split
from ml.errors import Stopped
from ml.openvino_core import openvino_core
from ml.preprocess import Preprocessing

PHOTOS = 64  # (ours) of the training set; 128 and 256 gave no better logits
MIN_PHOTOS = 16  # (ours)
MAX_TIME_S = 30.0  # (ours) for the calibration
FLOAT_LAYERS = 2  # (ours) at the beginning of the network
_BATCH = 16  # photos that are decoded together
_MAX_WEIGHT, _MAX_ACTIVATION = 127, 255
_REDUCTIONS = ("ReduceMin", "ReduceMax", "ReduceMean")

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Activation:
    """The input of a layer on the calibration photos: its smallest and largest value, and the mean of each channel."""

    low: float
    high: float
    means: Floats


def quantize(
    graph: Path, target: Path, split: Split, preprocessing: Preprocessing, workers: int, stop: Callable[[], bool]
) -> None:
    """Writes the ONNX file `graph` with 8-bit numbers to `target`. At most PHOTOS of the training photos in `split`
    calibrate it, always the same. Raises Stopped."""
    model = onnx.load(graph)
    order = np.random.default_rng(0).permutation(len(split))[:PHOTOS]
    images = (
        image[np.newaxis]
        for images, _ in batches.fixed(split.picked(order), preprocessing, _BATCH, workers)
        for image in images.numpy()
    )
    activations = calibrate(model, preprocessing.size, _until_stopped(images, stop))
    onnx.save(with_8_bits(model, activations), target)


def calibrate(model: ModelProto, size: int, images: Iterator[Floats]) -> dict[str, Activation]:
    """The input of each layer that is to become 8-bit, by its name, for images (1, 3, size, size).

    The minimum, maximum and mean are computed in the graph, so that no whole activation leaves OpenVINO."""
    names = list(dict.fromkeys(node.input[0] for node in _layers(model)))
    core = openvino_core()
    observed = core.read_model(_observed(model, names).SerializeToString())
    observed.reshape([1, 3, size, size])
    properties = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(observed, "CPU", properties).create_infer_request()
    outputs = range(len(names) * len(_REDUCTIONS))
    rows = []
    for image in images:
        found = request.infer({0: image})
        rows.append([found[number].copy() for number in outputs])  # the request writes its next answer there
    columns = iter(zip(*rows, strict=True))
    return {
        name: Activation(float(np.min(lows)), float(np.max(highs)), np.mean(means, axis=0))
        for name, lows, highs, means in zip(names, columns, columns, columns, strict=True)
    }


def with_8_bits(model: ModelProto, activations: Mapping[str, Activation]) -> ModelProto:
    """The model with an 8-bit input and 8-bit weights in each layer of which the input is known."""
    weights = _constants(model)
    layers = {node.output[0] for node in _layers(model)}
    constants: dict[str, npt.NDArray[Any]] = {}
    nodes: list[NodeProto] = []

    def dequantized(quantized: str, name: str, scale: Floats, zero: npt.NDArray[Any]) -> str:
        constants.update({f"{name}/scale": scale, f"{name}/zero": zero})
        inputs = [quantized, f"{name}/scale", f"{name}/zero"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}/rounded"], axis=0))
        return f"{name}/rounded"

    def activation(name: str) -> str:
        if f"{name}/scale" not in constants:
            scale, zero = _activation_scale(activations[name])
            inputs = [name, f"{name}/scale", f"{name}/zero"]
            nodes.append(helper.make_node("QuantizeLinear", inputs, [f"{name}/quantized"]))
            dequantized(f"{name}/quantized", name, scale, zero)
        return f"{name}/rounded"

    def layer(node: NodeProto) -> NodeProto:
        name, (source, weight, *bias) = node.output[0], node.input
        rounded, scales = _rounded(weights[weight])
        constants[f"{name}/weights/quantized"] = rounded
        lost = _lost(weights[weight], rounded, scales, activations[source].means)
        constants[f"{name}/bias"] = (weights[bias[0]] + lost if bias else lost).astype(np.float32)
        zeros = np.zeros(len(scales), np.int8)
        inputs = [activation(source), dequantized(f"{name}/weights/quantized", f"{name}/weights", scales, zeros)]
        changed = NodeProto()
        changed.CopyFrom(node)
        del changed.input[:]
        changed.input.extend([*inputs, f"{name}/bias"])
        return changed

    for node in model.graph.node:
        nodes.append(layer(node) if node.output[0] in layers else node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    added = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, model.graph.name, model.graph.input, model.graph.output, [*kept, *added])
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _until_stopped(images: Iterator[Floats], stop: Callable[[], bool]) -> Iterator[Floats]:
    """The images, until the time is over. Raises Stopped when `stop` answers True."""
    deadline_s = time.monotonic() + MAX_TIME_S
    for number, image in enumerate(images):
        if stop():
            raise Stopped
        if number >= MIN_PHOTOS and time.monotonic() > deadline_s:
            return
        yield image


def _layers(model: ModelProto) -> list[NodeProto]:
    """The convolutions and linear layers with constant weights, in their order, without the first ones."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node for node in model.graph.node if _is_layer(node) and node.input[1] in constants][FLOAT_LAYERS:]


def _is_layer(node: NodeProto) -> bool:
    """Whether its weights are (outputs, inputs, ...), as a convolution's and those of PyTorch's linear layers."""
    transposed = any(it.name == "transB" and it.i == 1 for it in node.attribute)
    return node.op_type == "Conv" or (node.op_type == "Gemm" and transposed)


def _constants(model: ModelProto) -> dict[str, npt.NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _observed(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """The model with other outputs: for each of these tensors its minimum, its maximum and the mean of each channel."""
    ranks = {node.input[0]: len(_constants(model)[node.input[1]].shape) for node in _layers(model)}
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    for name in names:
        axes = np.array([0, *range(2, ranks[name])])
        observed.graph.initializer.append(numpy_helper.from_array(axes, f"{name}/axes"))
        for reduction in _REDUCTIONS:
            inputs, output = [name, f"{name}/axes"], f"{name}/{reduction}"
            observed.graph.node.append(helper.make_node(reduction, inputs, [output], keepdims=0))
            observed.graph.output.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    return observed


def _activation_scale(activation: Activation) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The scale and the zero of 8-bit numbers that reach from the smallest to the largest value, with 0 among them."""
    low, high = min(activation.low, 0.0), max(activation.high, 0.0)
    scale = (high - low) / _MAX_ACTIVATION or 1.0
    return np.array(scale, np.float32), np.array(round(-low / scale), np.uint8)


def _rounded(weights: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Weights in 8 bits, and the scale of each output."""
    rows = weights.reshape(len(weights), -1)
    scales = np.abs(rows).max(1, keepdims=True) / _MAX_WEIGHT
    scales[scales == 0] = 1
    return np.rint(rows / scales).astype(np.int8).reshape(weights.shape), scales[:, 0].astype(np.float32)


def _lost(weights: Floats, rounded: npt.NDArray[np.int8], scales: Floats, means: Floats) -> Floats:
    """What each output lacks in the mean when its weights are rounded, for inputs with these means."""
    outputs, inputs = weights.shape[:2]  # the inputs of one output: in a convolution of several groups only a part
    rows = weights.reshape(outputs, inputs, -1)
    missing = (rows - rounded.reshape(rows.shape) * scales[:, np.newaxis, np.newaxis]).sum(2)
    groups = len(means) // inputs
    lost: Floats = (missing.reshape(groups, -1, inputs) @ means.reshape(groups, inputs, 1)).reshape(outputs)
    return lost
