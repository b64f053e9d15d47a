"""A small convolutional network as ONNX, whose first three logits follow the means of an image's three colours."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper

CHANNELS = 8
SIDE = 16  # of its images, in pixels


def network() -> ModelProto:
    """Three convolutions, one of them depthwise, a sum of two branches and a linear layer."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> npt.NDArray[np.float32]:
        found = random.normal(0, 0.05, shape)
        for number in range(min(shape[:2])):
            found[(number, number, *(size // 2 for size in shape[2:]))] += 1
        return found.astype(np.float32)

    values = {
        "first.weight": weights(CHANNELS, 3, 3, 3),
        "first.bias": random.normal(0, 0.1, CHANNELS).astype(np.float32),
        "depthwise.weight": 1 + weights(CHANNELS, 1, 3, 3),
        "depthwise.bias": random.normal(0, 0.1, CHANNELS).astype(np.float32),
        "branch.weight": weights(CHANNELS, CHANNELS, 1, 1),
        "head.weight": weights(3, CHANNELS),
        "head.bias": random.normal(0, 0.1, 3).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["images", "first.weight", "first.bias"], ["first"]),
        helper.make_node("Relu", ["first"], ["positive"]),
        helper.make_node("Conv", ["positive", "depthwise.weight", "depthwise.bias"], ["deep"], group=CHANNELS),
        helper.make_node("Conv", ["deep", "branch.weight"], ["branch"]),
        helper.make_node("Add", ["deep", "branch"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"], transB=1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "small", [images], [logits], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def run(model: ModelProto, images: npt.NDArray[np.float32], *outputs: str) -> list[npt.NDArray[Any]]:
    """These tensors of the model on ONNX Runtime; without names the logits."""
    shown = ModelProto()
    shown.CopyFrom(model)
    wanted = outputs or ("logits",)
    del shown.graph.output[:]
    shown.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    session = onnxruntime.InferenceSession(shown.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[npt.NDArray[Any]] = session.run(list(wanted), {"images": images})
    return found
