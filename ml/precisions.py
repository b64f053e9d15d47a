"""Measures what a lower precision of the served model costs in accuracy, on validation photos, for the model card.

A server may compute in bf16 only when the card says what that changes. It is measured on OpenVINO, with which it would
be served, and against the float32 logits that the evaluation used.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ml import batches
from ml.data import Split
from ml.preprocess import Preprocessing

MIN_PHOTOS = 100  # (ours) with fewer, a share of one in a hundred cannot be seen
MAX_PHOTOS = 1000  # (ours)
MAX_TIME_S = 60.0  # (ours) a CPU that only emulates bf16 needs a tenth of a second for a photo
_BATCH = 16  # photos that are decoded together


class NotMeasured(Exception):
    """The accuracy in a precision is not known; the message is one clear sentence for the model card."""


@dataclass(frozen=True)
class Validation:
    """The validation photos, how they become inputs, their float32 logits (N, classes) in the same order, and the
    number of threads that decode."""

    split: Split
    preprocessing: Preprocessing
    logits: npt.NDArray[np.float32]
    workers: int

    def sample(self, count: int) -> "Validation":
        """At most so many of the photos, always the same; every beginning of them is a fair sample."""
        order = np.random.default_rng(0).permutation(len(self.split))[:count]
        return Validation(self.split.picked(order), self.preprocessing, self.logits[order], self.workers)


def measure(onnx: Path, validation: Validation, stop: Callable[[], bool]) -> dict[str, Any]:
    """For each lower precision what it changes: `accuracy` and `accuracy_drop` on `photos`, `differing_share` of these
    whose top class is another than in float32, and the engine; or a sentence that says why it is not known.

    It ends when `stop` answers True."""
    try:
        return {"bf16": _measure(onnx, "bf16", validation.sample(MAX_PHOTOS), stop)}
    except NotMeasured as reason:
        return {"bf16": f"Not measured: {reason}"}


def _measure(onnx: Path, precision: str, validation: Validation, stop: Callable[[], bool]) -> dict[str, Any]:
    if len(validation.split) < MIN_PHOTOS:
        raise NotMeasured(f"there are {len(validation.split)} validation photos; {MIN_PHOTOS} are needed.")
    run = _compile(onnx, precision, validation.preprocessing.size)
    deadline_s = time.monotonic() + MAX_TIME_S
    rows: list[npt.NDArray[np.float32]] = []
    for image in _images(validation):
        if stop():
            raise NotMeasured("the job had to stop.")
        if time.monotonic() > deadline_s and len(rows) >= MIN_PHOTOS:
            break
        rows.append(run(image))
    return compare(validation.logits[: len(rows)], np.stack(rows), np.asarray(validation.split.labels[: len(rows)])) | {
        "engine": f"openvino {version('openvino')}"
    }


def compare(
    expected: npt.NDArray[np.float32], found: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> dict[str, Any]:
    """The figures for logits (N, classes) in float32 and in another precision, and labels (N,)."""
    right, right_in_f32 = (float((logits.argmax(1) == labels).mean()) for logits in (found, expected))
    return {
        "accuracy": right,
        "accuracy_drop": right_in_f32 - right,
        "differing_share": float((expected.argmax(1) != found.argmax(1)).mean()),
        "photos": len(labels),
    }


def _images(validation: Validation) -> Iterator[npt.NDArray[np.float32]]:
    for images, _ in batches.fixed(validation.split, validation.preprocessing, _BATCH, validation.workers):
        yield from images.numpy()


def _compile(onnx: Path, precision: str, size: int) -> Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]:
    """A function image (3, size, size) -> logits (classes,) in this precision. Raises NotMeasured."""
    import openvino  # takes half a second, so only when it is used

    core = openvino.Core()
    if precision.upper() not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise NotMeasured(f"the CPU of the training does not compute in {precision}.")
    graph = core.read_model(onnx)
    graph.reshape([1, 3, size, size])
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"})
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != precision:
        raise NotMeasured(f"OpenVINO computes in {used} here, not in {precision}.")
    request = compiled.create_infer_request()

    def run(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = request.infer({0: image[np.newaxis]})[0][0]
        return logits

    return run
