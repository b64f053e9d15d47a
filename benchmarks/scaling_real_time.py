"""Application Auto Scaling in real time: a step of load for 12 minutes beside its simulation. Takes 14 minutes.

It shows that `scaling`, whose minutes take 3 s, measures what happens when a minute takes a minute. It needs no Docker.
"""

import subprocess

from benchmarks.scaling import ROOT, beside_simulation
from benchmarks.scaling_live import Rehearsal
from benchmarks.timing import write

STEP = Rehearsal(1, (*[10] * 2, *[60] * 10))  # for 1 and 4 instances


def main(_: int) -> None:
    """Measures one round, whatever was asked for, and writes its figures."""
    subprocess.run([str(ROOT / "scripts/setup"), "plugin", "serve"], check=True)
    write("scaling_real_time", beside_simulation(STEP, rounds=1))
