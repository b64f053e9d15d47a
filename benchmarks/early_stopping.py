"""Early stopping on recorded learning curves: how much computing it saves, and what the best objective loses.

The curves are of our own trainer (learning_curves.py). Tuning jobs of them are played in many orders: with the rule of
TrainingJobEarlyStoppingType Auto, with Hyperband's, and without any. It needs no Docker.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.timing import write

ROOT = Path(__file__).parents[1]


def main(rounds: int) -> None:  # noqa: ARG001 - the orders are the rounds
    """Measures the scenario and writes its figures."""
    subprocess.run([str(ROOT / "scripts/setup"), "plugin"], check=True)
    python = ROOT / ".stagemaker" / "env" / "plugin" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-m", "benchmarks.early_stopping_ours"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    write("early_stopping", figures)
