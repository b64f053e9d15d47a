"""Hyperband's brackets, against the table of its paper, and who stops at a rung."""

import pytest

from stagemaker.tuning.hyperband import Bracket, Hyperband, inferred_max_resource
from stagemaker.tuning.objective import Objective

LESS, MORE = Objective("loss", maximize=False), Objective("accuracy", maximize=True)


def test_the_brackets_for_81_epochs_are_those_of_the_paper() -> None:
    """Table 1 of the paper: n_i and r_i for R = 81 and eta = 3."""
    table = [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]
    for bracket, rows in zip(Hyperband(1, 81).brackets, table, strict=True):
        epochs = [*bracket.rungs, 81]
        assert [(bracket.size // 3**step, epoch) for step, epoch in enumerate(epochs)] == rows


def test_no_rung_lies_before_min_resource() -> None:
    for least in range(1, 82):
        for bracket in Hyperband(least, 81).brackets:
            assert all(least <= rung < 81 for rung in bracket.rungs)
    assert Hyperband(28, 81).brackets == (Bracket(1, ()),)


def test_training_jobs_fill_one_bracket_after_another_and_then_begin_anew() -> None:
    found = [Hyperband(1, 9).bracket_of(number) for number in range(2 * 15 + 1)]
    once = [0] * 9 + [1] * 3 + [2] * 3
    assert found == [*once, *once, 0]


@pytest.mark.parametrize(("goal", "sign"), [(LESS, 1), (MORE, -1)])
def test_at_a_rung_the_best_third_goes_on(goal: Objective, sign: int) -> None:
    plan = Hyperband(1, 9)  # the first bracket has rungs after epochs 1 and 3
    others = [[sign * value] for value in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert not plan.stops(0, [sign * 0.5], others, goal), "the best of six"
    assert not plan.stops(0, [sign * 1.5], others, goal), "the second of six"
    assert plan.stops(0, [sign * 2.5], others, goal), "the third of six"
    assert not plan.stops(0, [0, sign * 9.0], [[0, sign * 1.0]] * 5, goal), "epoch 2 is no rung"
    assert not plan.stops(2, [sign * 9.0], others, goal), "the last bracket has no rung"


def test_fewer_than_three_at_a_rung_stop_nobody() -> None:
    plan = Hyperband(1, 9)
    assert not plan.stops(0, [9.0], [[1.0]], LESS)
    assert plan.stops(0, [9.0], [[1.0], [2.0]], LESS)
    assert not plan.stops(0, [5.0, 5.0, 9.0], [[1.0], [2.0], [1.0, 1.0, 1.0]], LESS), "two have reached epoch 3"


def test_nothing_runs_beyond_max_resource() -> None:
    plan = Hyperband(1, 3)
    assert not plan.stops(1, [1.0] * 3, [], LESS)
    assert plan.stops(1, [1.0] * 4, [], LESS)


@pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
def test_max_resource_is_read_from_a_static_hyperparameter(name: str) -> None:
    assert inferred_max_resource({name: "27", "other": "9"}) == 27
    assert inferred_max_resource({name: '"27"'}) == 27, "as SDK 2 sends it"


@pytest.mark.parametrize("static", [{}, {"epoch": "9"}, {"epochs": "many"}, {"epochs": "0"}, {"epochs": "-1"}])
def test_nothing_is_inferred_from_anything_else(static: dict[str, str]) -> None:
    assert inferred_max_resource(static) is None
