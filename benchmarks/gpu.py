"""Trainer and server on a CUDA device, beside torchvision's recipe, plain FastAPI and what the device can do.

The trainer's features of a frozen backbone and its full fine-tuning, and the server on PyTorch, as the image serve-gpu
runs it, each as on a CPU (train.py, serve_speed.py). The server's peers run on the CPU. What a machine with one device
cannot do is left out: two processes that share each batch, since NCCL takes no device twice.
"""

import os
import subprocess

from benchmarks import serve_speed, train
from benchmarks.serve_peers import ENVIRONMENTS
from benchmarks.timing import write

_NAME = "import torch; print(torch.cuda.get_device_name(0) if torch.cuda.is_available() else '')"


def main(rounds: int) -> None:
    """Measures all of it, and writes the figures with the device's name. Without a device it says so and measures
    nothing, unless DEVICE=cpu asks for a run on the CPU, which shows that the benchmark itself works."""
    python = ENVIRONMENTS / "trainer" / "bin" / "python"
    device = subprocess.run([python, "-c", _NAME], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    if not device and os.environ.get("DEVICE") != "cpu":
        print("left out: this machine has no CUDA device")
        return
    figures = {
        "device": device or "cpu",
        "training": {name: train.measure(rounds, name, (train.SHARED,)) for name in serve_speed.BACKBONES},
        "serving": serve_speed.measure(rounds, "torch"),
    }
    if device:
        write("gpu", figures)
    else:
        print(figures)
