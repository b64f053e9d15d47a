"""Decides which engine, precision and layout of threads serve a model, from what was measured. All of it is pure.

Which of them is the fastest differs by model and by CPU: bf16 is several times faster where the CPU multiplies matrices
in it (AMX), and slower on some CPUs that only have vector instructions for it. So the machine that serves measures.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from containers.serve.engines import SAFE_CHOICE, EngineChoice

# (ours) Another choice must be this much faster than the safe one over all, and may be this much slower in one thing.
_WORTHWHILE, _TOLERATED = 1.1, 0.95
_MANY_THREADS = 8
PRECISIONS = ("f32", "bf16", "int8")  # that an engine here can compute in


@dataclass(frozen=True)
class Speed:
    """How many times faster a choice is than the safe one: in images a second when every thread has work, and in the
    time of a lone image."""

    busy: float
    lone: float

    @property
    def gain(self) -> float:
        """Both in one number, their geometric mean."""
        return math.sqrt(self.busy * self.lone)


def candidates(precisions: Collection[str], threads: int) -> tuple[EngineChoice, ...]:
    """What is compared with the safe choice, each precision in each layout: all threads for one image after the other,
    a thread for each image, and, where there are many threads, a part between."""
    layouts = sorted({1, threads, *([threads // 4] if threads >= _MANY_THREADS else [])})
    onnx = [EngineChoice("onnx", "f32", streams) for streams in layouts]
    known = [precision for precision in PRECISIONS if precision in precisions]
    openvino = [EngineChoice("openvino", precision, streams) for precision in known for streams in layouts]
    return tuple(choice for choice in (*onnx, *openvino) if choice != SAFE_CHOICE)


def best(measured: Mapping[EngineChoice, Speed]) -> EngineChoice:
    """The choice with the largest gain, among those that are worth it; else the safe one."""
    worth = {
        choice: speed.gain
        for choice, speed in measured.items()
        if min(speed.busy, speed.lone) >= _TOLERATED and speed.gain >= _WORTHWHILE
    }
    return max(worth, key=worth.__getitem__, default=SAFE_CHOICE)
