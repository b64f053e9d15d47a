"""Plays tuning jobs over recorded learning curves, as JSON: runs in the environment `plugin`, for `early_stopping`.

One epoch of each of the parallel training jobs passes at a time.
"""

import json
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stagemaker.tuning import early_stopping
from stagemaker.tuning.hyperband import Hyperband
from stagemaker.tuning.objective import Objective

CURVES = Path(__file__).parent / "learning_curves.json"
ORDERS, PARALLEL = 200, 3
GOAL = Objective("valid_accuracy", maximize=True)
Stops = Callable[[int, Sequence[float], Sequence[Sequence[float]], dict[int, list[float]]], bool]


def main() -> int:
    """Prints the figures of each rule, as shares of a tuning job without early stopping."""
    curves = [each["valid_accuracy"] for each in json.loads(CURVES.read_text())]
    epochs = len(curves[0])
    hyperband = Hyperband(1, epochs)
    rules: dict[str, Stops] = {
        "Auto": lambda _, values, ended, __: early_stopping.stops(values, ended, GOAL),
        "Hyperband": lambda number, values, _, seen: hyperband.stops(
            bracket := hyperband.bracket_of(number),
            values,
            [other for job, other in seen.items() if job != number and hyperband.bracket_of(job) == bracket],
            GOAL,
        ),
    }
    figures = {name: _figures(curves, rule) for name, rule in rules.items()}
    json.dump({"curves": len(curves), "epochs": epochs, "orders": ORDERS, "parallel": PARALLEL, **figures}, sys.stdout)
    return 0


def _figures(curves: list[list[float]], stops: Stops) -> dict[str, Any]:
    saved, lost, kept = [], [], 0
    for seed in range(ORDERS):
        order = random.Random(seed).sample(curves, len(curves))  # noqa: S311 - no secret
        found = play(order, stops)
        saved.append(1 - sum(len(values) for values in found) / sum(len(curve) for curve in curves))
        lost.append(max(curve[-1] for curve in curves) - max(values[-1] for values in found))
        kept += lost[-1] == 0
    return {
        "epochs saved, median share": round(statistics.median(saved), 3),
        "epochs saved, least share": round(min(saved), 3),
        "best objective lost, median": round(statistics.median(lost), 4),
        "best objective lost, most": round(max(lost), 4),
        "orders in which nothing was lost": kept,
    }


def play(curves: Sequence[Sequence[float]], stops: Stops) -> list[list[float]]:
    """What each training job measured before it ended or was stopped."""
    seen: dict[int, list[float]] = {}
    ended: list[list[float]] = []
    running: list[int] = []
    while len(ended) < len(curves):
        while len(running) < PARALLEL and len(seen) < len(curves):
            running.append(len(seen))
            seen[len(seen)] = []
        for number in list(running):
            values = seen[number]
            values.append(curves[number][len(values)])
            if len(values) == len(curves[number]) or stops(number, values, ended, seen):
                running.remove(number)
                ended.append(values)
    return list(seen.values())


if __name__ == "__main__":
    sys.exit(main())
