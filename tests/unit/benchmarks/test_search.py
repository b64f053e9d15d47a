"""The parts of the benchmark of the search that need no other environment."""

import itertools
from typing import Any

import pytest

from benchmarks.search import figures
from benchmarks.search_problems import PROBLEMS, SEEDS, branin, hartmann6, regrets


@pytest.mark.parametrize("point", [(-3.14159265, 12.275), (3.14159265, 2.275), (9.42477796, 2.475)])
def test_branin_has_its_three_minima(point: tuple[float, float]) -> None:
    assert branin(point) == pytest.approx(0.397887, abs=1e-5)


def test_hartmann6_has_its_minimum() -> None:
    assert hartmann6((0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)) == pytest.approx(-3.32237, abs=1e-5)


def test_no_value_lies_below_the_least() -> None:
    for problem in PROBLEMS.values():
        axes = [(low, (low + high) / 2, high) for low, high in problem.bounds]
        assert all(problem.value(point) >= problem.least - 1e-5 for point in itertools.product(*axes))


def test_a_regret_is_the_distance_from_the_least_value() -> None:
    found = regrets(lambda problem, seed: problem.least + seed)
    assert found["branin"] == pytest.approx(list(range(SEEDS)))


def test_the_figures_count_pairs_and_compare_medians() -> None:
    chance = {problem: [float(seed + 1) for seed in range(SEEDS)] for problem in PROBLEMS}
    ours = {problem: [value / 2 for value in values] for problem, values in chance.items()}
    ours["branin"][0] = 9.0
    found: dict[str, Any] = figures({"Bayesian": ours, "Random": chance})
    assert found["Bayesian better than Random, of pairs"] == [2 * SEEDS - 1, 2 * SEEDS]
    assert found["Bayesian's median regret in parts of Random's"]["hartmann6"] == 0.5
