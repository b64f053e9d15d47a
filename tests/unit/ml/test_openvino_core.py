"""A signal after OpenVINO computed in several precisions."""

import subprocess
import sys

PROGRAM = """
import os, signal
import numpy as np
import openvino
from openvino import opset8
from ml.openvino_core import openvino_core
signal.signal(signal.SIGTERM, lambda *_: print("told to stop", flush=True))

def compiled(precision):
    image = opset8.parameter([1, 3, 8, 8], np.float32)
    model = openvino.Model([opset8.relu(image)], [image], "model")
    return openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})

first = compiled("f32")
second = compiled("bf16")
del first
del second
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_after_two_precisions_is_heard() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "told to stop\n"), done.stderr
