"""Writes a graph with 8-bit weights and activations, which CPUs compute two to four times faster than float32.

The ranges of the activations are calibrated on photos of the training set. The graph is ONNX with a pair of quantize
and dequantize nodes around each operator, which both OpenVINO and ONNX Runtime turn into their own 8-bit kernels.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from ml import batches
from ml.artifact import ONNX_INPUT
from ml.data import Split
from ml.errors import Stopped
from ml.preprocess import Preprocessing

PHOTOS = 128  # (ours) of the training set
MIN_PHOTOS = 32  # (ours)
MAX_TIME_S = 60.0  # (ours) for the calibration; on 2 quiet cores 128 photos take 10 s with EfficientNet-Lite0
_BATCH = 16  # photos that are decoded together


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Gives the photos to the calibration, one at a time, until `stop` answers True or the time is over."""

    def __init__(self, split: Split, preprocessing: Preprocessing, workers: int, stop: Callable[[], bool]) -> None:
        self._images = (
            image for images, _ in batches.fixed(split, preprocessing, _BATCH, workers) for image in images.numpy()
        )
        self._stop = stop
        self._deadline_s = time.monotonic() + MAX_TIME_S
        self._given = 0

    def get_next(self) -> dict[str, Any] | None:
        """Called by the calibration; None ends it. Raises Stopped."""
        if self._stop():
            raise Stopped
        if self._given >= MIN_PHOTOS and time.monotonic() > self._deadline_s:
            return None
        self._given += 1
        image = next(self._images, None)
        return None if image is None else {ONNX_INPUT: image[np.newaxis]}


def quantize(
    graph: Path, target: Path, split: Split, preprocessing: Preprocessing, workers: int, stop: Callable[[], bool]
) -> None:
    """Writes the ONNX file `graph` with 8-bit numbers to `target`. At most PHOTOS of the training photos in `split`
    calibrate it, always the same. Raises Stopped."""
    order = np.random.default_rng(0).permutation(len(split))[:PHOTOS]
    with TemporaryDirectory(prefix="stagemaker-") as folder:
        prepared = Path(folder) / graph.name
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            _Photos(split.picked(order), preprocessing, workers, stop),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )
