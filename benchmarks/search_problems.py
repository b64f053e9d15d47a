"""Two functions whose least values are known, as objectives of a search. Pure.

Source: https://www.sfu.ca/~ssurjano/optimization.html; the least values: 0.397887 and -3.32237.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SEEDS, TRIALS = 20, 30


@dataclass(frozen=True)
class Problem:
    """Minimise `value` of one number for each of `bounds`."""

    value: Callable[[Sequence[float]], float]
    bounds: tuple[tuple[float, float], ...]
    least: float


def branin(point: Sequence[float]) -> float:
    """Of two numbers."""
    x, y = point
    curve = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return curve**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def hartmann6(point: Sequence[float]) -> float:
    """Of six numbers."""
    heights = (1.0, 1.2, 3.0, 3.2)
    slopes = (
        (10, 3, 17, 3.5, 1.7, 8),
        (0.05, 10, 17, 0.1, 8, 14),
        (3, 3.5, 1.7, 10, 17, 8),
        (17, 8, 0.05, 10, 0.1, 14),
    )
    centres = (
        (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
        (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
        (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
        (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
    )
    return -sum(
        height * math.exp(-sum(a * (x - p) ** 2 for a, p, x in zip(slope, centre, point, strict=True)))
        for height, slope, centre in zip(heights, slopes, centres, strict=True)
    )


PROBLEMS = {
    "branin": Problem(branin, ((-5, 10), (0, 15)), 0.397887),
    "hartmann6": Problem(hartmann6, ((0, 1),) * 6, -3.32237),
}


def regrets(search: Callable[[Problem, int], float]) -> dict[str, list[float]]:
    """How far the best of TRIALS values is from the least one, for each problem and seed. `search` gets both, and
    returns its best value."""
    return {
        name: [search(problem, seed) - problem.least for seed in range(SEEDS)] for name, problem in PROBLEMS.items()
    }
