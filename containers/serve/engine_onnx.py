"""Runs the model on ONNX Runtime.

Several requests use the cores at the same time: every model thread decodes and runs alone. ONNX Runtime's own threads
help only when there is one request, and never spin: on a busy machine spinning halved the throughput.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime

from containers.serve.engines import Batch, Logits
from ml.artifact import ONNX_FILE, ONNX_INPUT, ONNX_OUTPUT, BadArtifact


def load(folder: Path, threads: int, keeps_buffers: bool) -> Callable[[Batch], Logits]:
    """A function float32 (N, 3, size, size) -> float32 (N, classes), which computes a batch with `threads` threads.
    Raises BadArtifact."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    options.enable_cpu_mem_arena = keeps_buffers
    try:
        session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise BadArtifact(f"{ONNX_FILE} cannot be loaded: {error}") from error
    return lambda batch: np.asarray(session.run([ONNX_OUTPUT], {ONNX_INPUT: batch})[0])
