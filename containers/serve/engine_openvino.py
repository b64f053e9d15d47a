"""Runs the model on OpenVINO.

The graph is compiled for one image: with a free number of images OpenVINO plans its memory anew for each batch, which
is slower than one image after the other. Each call takes an infer request of its own from a pool.
"""

from collections.abc import Callable
from pathlib import Path
from queue import LifoQueue
from typing import Any

import numpy as np

from containers.serve.engines import Batch, EngineChoice, Logits
from ml.artifact import INT8_FILE, ONNX_FILE, BadArtifact, ModelCard
from ml.openvino_core import openvino_core


def load(folder: Path, card: ModelCard, choice: EngineChoice, threads: int) -> Callable[[Batch], Logits]:
    """A function float32 (N, 3, size, size) -> float32 (N, classes). Up to `threads` callers compute at the same time.
    Raises BadArtifact."""
    size, file = card.preprocessing.size, INT8_FILE if choice.precision == "int8" else ONNX_FILE
    if not (folder / file).is_file():
        raise BadArtifact(f"The model folder {folder} has no {file}.")
    try:
        core = openvino_core()
        graph = core.read_model(folder / file)
        graph.reshape([1, 3, size, size])
        compiled = core.compile_model(graph, "CPU", _properties(choice, threads))
        found = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        requests: LifoQueue[Any] = LifoQueue()
        for _ in range(threads):
            requests.put(compiled.create_infer_request())
    except RuntimeError as error:  # the base of OpenVINO's exceptions
        raise BadArtifact(f"{file} cannot be loaded by OpenVINO: {error}") from error
    if found != _hint(choice):
        raise BadArtifact(f"OpenVINO computes in {found} on this CPU, not in {_hint(choice)}.")

    def run(batch: Batch) -> Logits:
        request = requests.get()
        try:
            # The output is copied, because the request writes its next answer into the same memory.
            rows = [request.infer({0: batch[index : index + 1]}, share_inputs=True)[0] for index in range(len(batch))]
        finally:
            requests.put(request)
        return np.concatenate(rows)

    return run


def _properties(choice: EngineChoice, threads: int) -> dict[str, str]:
    return {
        "INFERENCE_PRECISION_HINT": _hint(choice),
        "NUM_STREAMS": str(choice.streams),
        "INFERENCE_NUM_THREADS": str(threads),
        "ENABLE_CPU_PINNING": "NO",  # another container may be pinned to the same core
    }


def _hint(choice: EngineChoice) -> str:
    """The precision of everything that the graph itself does not keep in 8 bits."""
    return "f32" if choice.precision == "int8" else choice.precision
