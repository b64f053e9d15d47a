"""Application Auto Scaling: five systems in simulation, and one load on a live endpoint beside its simulation.

The simulation asks the same `decide` as the live loop. The live endpoint is one of plain processes, for which a minute
of AWS takes a few seconds; it needs no Docker.
"""

import json
import os
import statistics
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import scaling_live as live
from benchmarks.scaling_live import Rehearsal
from benchmarks.timing import write

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".stagemaker" / "env" / "plugin" / "bin" / "python"
START_S = 240.0  # of an instance of SageMaker, about
# For 1, 4, 6 and 1 instances; a minute takes 3 s.
COMPRESSED = Rehearsal(20, (*[10] * 4, *[60] * 10, *[90] * 10, *[10] * 20))
SYSTEMS: dict[str, dict[str, Any]] = {
    "A: at most 4, target 25, cooldowns 30 s and 5 s": {
        "requests": [20] * 3 + [90] * 12 + [0] * 20,
        "variant": {"per_instance": 25, "maximum": 4, "start_s": START_S},
        "tracking": {"target_value": 25, "scale_in_cooldown_s": 30, "scale_out_cooldown_s": 5},
    },
    "B: 1 to 5, target 20": {
        "requests": [20, 40, 60, 80] + [100] * 16,
        "variant": {"per_instance": 20, "maximum": 5, "start_s": START_S},
        "tracking": {"target_value": 20},
    },
    "C: target 100, cooldowns 10 s, instances that start in 90 s": {
        "requests": [100] * 2 + [450] * 24,
        "variant": {"per_instance": 100, "maximum": 10, "start_s": 90},
        "tracking": {"target_value": 100, "scale_in_cooldown_s": 10, "scale_out_cooldown_s": 10},
    },
    "D: no scaling": {
        "requests": [20] * 3 + [90] * 12,
        "variant": {"per_instance": 25, "maximum": 4, "start_s": START_S},
        "tracking": None,
    },
    "D: target 25": {
        "requests": [20] * 3 + [90] * 12,
        "variant": {"per_instance": 25, "maximum": 4, "start_s": START_S},
        "tracking": {"target_value": 25},
    },
    "E: at most 3, target 50": {
        "requests": [10] + [500] * 15,
        "variant": {"per_instance": 50, "maximum": 3, "start_s": START_S},
        "tracking": {"target_value": 50},
    },
    "a live account: target 1500": {
        "requests": [1200] * 3 + [6000] * 12 + [600] * 18,
        "variant": {"per_instance": 1500, "maximum": 8, "start_s": START_S},
        "tracking": {"target_value": 1500},
    },
}


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures. A round takes as long as the live load."""
    subprocess.run([str(ROOT / "scripts/setup"), "plugin", "serve"], check=True)
    write("scaling", {"simulated": simulated(SYSTEMS), "live": beside_simulation(COMPRESSED, rounds)})


def beside_simulation(rehearsal: Rehearsal, rounds: int) -> dict[str, Any]:
    """The load on a live endpoint, so many times, beside its simulation."""
    with live.endpoint(rehearsal.factor) as session:
        start_s = live.time_to_start(session.client("sagemaker"), rehearsal.factor)
        runs = [live.run(session, f"round-{number + 1}", rehearsal) for number in range(rounds)]
    variant = {
        "per_instance": live.TARGET,
        "maximum": live.MAXIMUM,
        "start_s": start_s,
        "lag_s": rehearsal.lag_s,
    }
    tracking = {
        "target_value": live.TARGET,
        "scale_in_cooldown_s": live.COOLDOWN_S,
        "scale_out_cooldown_s": live.COOLDOWN_S,
    }
    expected = simulated({"live": {"requests": rehearsal.load, "variant": variant, "tracking": tracking}})["live"]
    measured = statistics.median(run["instance_s"] for run in runs)
    return {
        "seconds of AWS in one": rehearsal.factor,
        "start of an instance, seconds of AWS": round(start_s, 1),
        "simulated": expected,
        "rounds": runs,
        "median instance-seconds, in parts of the simulation's": round(measured / expected["instance_s"], 3),
    }


def simulated(cases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What the plugin's simulation answers."""
    done = subprocess.run(
        [str(PYTHON), "-m", "benchmarks.scaling_ours"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=json.dumps(cases),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers
