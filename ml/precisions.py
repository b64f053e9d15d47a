"""Measures what a lower precision of the served model costs in accuracy, on validation photos, for the model card.

A server may compute in bf16 or int8 only when the card says what that changes. It is measured on OpenVINO, with which
it would be served, and against the float32 logits that the evaluation used.
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
from ml.artifact import INT8_FILE
from ml.data import Split
from ml.errors import Stopped
from ml.openvino_core import openvino_core
from ml.preprocess import Preprocessing

MIN_PHOTOS = 100  # (ours) with fewer, a share of one in a hundred cannot be seen
MAX_PHOTOS = 1000  # (ours)
MAX_TIME_S = 60.0  # (ours) a CPU that only emulates bf16 needs a tenth of a second for a photo
_BATCH = 16  # photos that are decoded together
_STOPPED = "the job had to stop."


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


def measure(
    onnx: Path, validation: Validation, stop: Callable[[], bool], training: Split | None = None
) -> dict[str, Any]:
    """For each lower precision what it changes: `accuracy` and `accuracy_drop` on `photos`, `differing_share` of these
    whose top class is another than in float32, and the engine; or a sentence that says why it is not known.

    With the photos `training`, it writes the graph in int8 beside `onnx`, as INT8_FILE, calibrated on these, and
    measures it too. It ends when `stop` answers True."""
    found = {"bf16": _attempt(lambda: _measure(onnx, "bf16", validation.sample(MAX_PHOTOS), stop))}
    if training:
        found["int8"] = _attempt(lambda: _measure_int8(onnx, validation.sample(MAX_PHOTOS), stop, training))
    return found


def _attempt(measuring: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    try:
        return measuring()
    except NotMeasured as reason:
        return f"Not measured: {reason}"


def _measure_int8(onnx: Path, validation: Validation, stop: Callable[[], bool], training: Split) -> dict[str, Any]:
    _check_count(validation)  # before the work of the calibration
    from ml.quantize import quantize  # takes tenths of a second, so only when it is used

    graph = onnx.with_name(INT8_FILE)
    try:
        quantize(onnx, graph, training, validation.preprocessing, validation.workers, stop)
        return _measure(graph, "int8", validation, stop)
    except Stopped:
        raise NotMeasured(_STOPPED) from None
    except NotMeasured:
        graph.unlink()  # nobody could serve it
        raise


def _check_count(validation: Validation) -> None:
    if len(validation.split) < MIN_PHOTOS:
        raise NotMeasured(f"there are {len(validation.split)} validation photos; {MIN_PHOTOS} are needed.")


def _measure(onnx: Path, precision: str, validation: Validation, stop: Callable[[], bool]) -> dict[str, Any]:
    _check_count(validation)
    run = _compile(onnx, precision, validation.preprocessing.size)
    deadline_s = time.monotonic() + MAX_TIME_S
    rows: list[npt.NDArray[np.float32]] = []
    for image in _images(validation):
        if stop():
            raise NotMeasured(_STOPPED)
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
    """A function image (3, size, size) -> logits (classes,) in this precision, for which int8 needs a graph of its own.
    Raises NotMeasured."""
    core = openvino_core()
    if precision.upper() not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise NotMeasured(f"the CPU of the training does not compute in {precision}.")
    graph = core.read_model(onnx)
    graph.reshape([1, 3, size, size])
    hint = "f32" if precision == "int8" else precision  # of what is not quantized
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"})
    used = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used != hint:
        raise NotMeasured(f"OpenVINO computes in {used} here, not in {hint}.")
    request = compiled.create_infer_request()

    def run(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = request.infer({0: image[np.newaxis]})[0][0]
        return logits

    return run
