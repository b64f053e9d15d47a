"""Simulates variants under a load, JSON in and JSON out: runs in the environment `plugin`, for `scaling`."""

import json
import sys
import time
from itertools import pairwise
from typing import Any

from stagemaker.scaling.simulate import Policy, SimulatedVariant, Simulation, simulate
from stagemaker.scaling.tracking import TargetTracking

REPEATS = 20  # of each simulation, to time it


def main() -> int:
    """Reads `{name: {"requests": [...], "variant": {...}, "tracking": {...} or null}}` and prints the answers."""
    cases: dict[str, dict[str, Any]] = json.load(sys.stdin)
    json.dump({name: _answer(**case) for name, case in cases.items()}, sys.stdout)
    return 0


def _answer(requests: list[float], variant: dict[str, Any], tracking: dict[str, Any] | None) -> dict[str, Any]:
    policies: list[Policy] = [TargetTracking(**tracking)] if tracking else []
    simulated = SimulatedVariant(**variant)
    began = time.perf_counter()
    for _ in range(REPEATS):
        found = simulate(requests, simulated, policies)
    took_s = (time.perf_counter() - began) / REPEATS
    return {
        "scalings": found.scalings,
        "instance_s": round(_instance_s(found, simulated)),
        "under_instance_s": round(found.under_instance_s),
        "over_instance_s": round(found.over_instance_s),
        "hours simulated in a second": round(len(requests) / 60 / took_s),
    }


def _instance_s(found: Simulation, variant: SimulatedVariant) -> float:
    """How long instances served, all together: what they would cost."""
    changes = [(one.end_s, one.capacity) for one in found.activities if not one.not_scaled]
    starts = [(0.0, variant.instances), *changes, (found.periods[-1].end_s, 0)]
    return sum((after - before) * count for (before, count), (after, _) in pairwise(starts))


if __name__ == "__main__":
    sys.exit(main())
