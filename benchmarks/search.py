"""The quality of the search: the best of 30 values on Branin and Hartmann-6, Bayesian beside Random and Syne Tune.

Each search runs with the same 20 seeds on each function. The goals: Bayesian is better than Random in at least 28 of
the 40 pairs, and its median regret is at most half of Random's on each function. It needs no Docker.
"""

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.search_problems import PROBLEMS, SEEDS, TRIALS
from benchmarks.timing import write

ROOT = Path(__file__).parents[1]
Regrets = dict[str, dict[str, list[float]]]


def main(rounds: int) -> None:  # noqa: ARG001 - the seeds are the rounds
    """Measures the scenario and writes its figures."""
    subprocess.run([str(ROOT / "scripts/setup"), "plugin", "bench-search"], check=True)
    write("search", figures(_run("plugin", "search_ours") | _run("bench-search", "search_syne_tune")))


def figures(found: Regrets) -> dict[str, Any]:
    """From the regrets of each search, of which one is Bayesian and one Random."""
    medians = {
        name: {problem: round(statistics.median(values), 4) for problem, values in each.items()}
        for name, each in found.items()
    }
    pairs = [
        (ours, chance)
        for problem in PROBLEMS
        for ours, chance in zip(found["Bayesian"][problem], found["Random"][problem], strict=True)
    ]
    return {
        "trials": TRIALS,
        "seeds": SEEDS,
        "median regret": medians,
        "Bayesian better than Random, of pairs": [sum(ours < chance for ours, chance in pairs), len(pairs)],
        "Bayesian's median regret in parts of Random's": {
            problem: round(medians["Bayesian"][problem] / medians["Random"][problem], 3) for problem in PROBLEMS
        },
    }


def _run(environment: str, module: str) -> Regrets:
    python = ROOT / ".stagemaker" / "env" / environment / "bin" / "python"
    done = subprocess.run(
        [str(python), "-W", "ignore", "-m", f"benchmarks.{module}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    regrets: Regrets = json.loads(done.stdout)
    return regrets
