"""OpenVINO's Core, of which a process has one that it never gives back.

On Linux a Core sets a stack for signals, since those of a CPU with AMX need more room, and takes it away at its end.
Two that end out of turn leave the stack of the first in place, which is freed by then, and the next signal, such as the
SIGTERM that stops a job, kills the process (seen with OpenVINO 2026.4, where f32 and bf16 were compiled).
"""

from functools import cache
from typing import Any


@cache
def openvino_core() -> Any:
    """The process's. The first call imports OpenVINO, which takes half a second."""
    import openvino

    return openvino.Core()
