"""When managed spot training is interrupted without anybody's asking: by a schedule that a seed repeats. Pure.

AWS interrupts when it needs the capacity, and documents no distribution. Here the time to an interruption is
exponential: its rate does not depend on how long an attempt has run.
"""

import hashlib
import math
import re
from dataclasses import dataclass

from stagemaker.core.numbers import finite_number, whole_number

CAPACITY_S = 1.0  # (ours) from an interruption until there are machines again
SHARE = 0.3  # (ours) of the seconds that are billed: AWS's price of spot capacity changes by hour, type and region
_FORM = re.compile(r"seed=([0-9]+) mean=([0-9.]+)")


@dataclass(frozen=True)
class Schedule:
    """Interruptions after `mean_s` seconds of training on average. Every job and attempt has its own times, which
    depend on nothing but `seed`, the job's name and the attempt's number."""

    seed: int
    mean_s: float

    def interruption_s(self, job: str, attempt: int) -> float:
        """How long the attempt of that number, from 1, runs before it is interrupted."""
        digest = hashlib.sha256(f"{self.seed} {job} {attempt}".encode()).digest()
        uniform = (int.from_bytes(digest[:8]) + 1) / 2**64  # above 0, at most 1
        return -math.log(uniform) * self.mean_s


def read_schedule(text: str) -> Schedule | None:
    """`seed=7 mean=300`, in seconds; None for an empty text. ValueError with one sentence for any other."""
    if not text:
        return None
    found = _FORM.fullmatch(text)
    seed, mean_s = (whole_number(found[1]), finite_number(found[2])) if found else (None, None)
    if seed is None or not mean_s:
        raise ValueError(f"A schedule of interruptions is of the form `seed=7 mean=300`, in seconds, not `{text}`.")
    return Schedule(seed, mean_s)
