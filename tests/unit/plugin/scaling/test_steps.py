"""Step scaling: the rules, the step for a breach, and AWS's worked examples of rounding."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.scaling.alarm_rules import Comparison
from stagemaker.scaling.steps import AdjustmentType, Step, StepScaling, adjusted_capacity, step_for, step_scaling
from tests.unit.plugin.scaling.policies import config, step

# AWS's example: above a threshold of 50 from 60 on 10 % more, from 70 on 30 % more.
OUT = config(step(0, 0, 10), step(10, 10, 20), step(30, 20), kind="PercentChangeInCapacity")
# And below it from 40 downwards 10 % less, from 30 downwards 30 % less.
IN = config(step(0, -10, 0), step(-10, -20, -10), step(-30, None, -20), kind="PercentChangeInCapacity")


def test_a_configuration_is_read_and_its_steps_are_in_order() -> None:
    assert step_scaling(config(step(3, 20), step(1, 0, 20), Cooldown=60)) == StepScaling(
        AdjustmentType.CHANGE, (Step(1, 0, 20), Step(3, 20)), 0, 60
    )
    assert step_scaling(config(step(1, 0))).cooldown_s == 300


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"StepAdjustments": [step(1, 0)]}, "Adjustment type must be specified"),
        (config(), "There must be at least one step adjustment"),
        ({"AdjustmentType": "ChangeInCapacity"}, "There must be at least one step adjustment"),
        (config(step(1)), "Both lower and upper bounds of a step adjustment cannot be left unspecified"),
        (config(step(1, 5, 5), step(1, 5)), "Lower bound must be less than upper bound for a step adjustment"),
        (config(step(1, 5, 2)), "Lower bound must be less than upper bound for a step adjustment"),
        (config(step(1, None, 0), step(1, None, 5)), "At most one step adjustment may have an unspecified lower bound"),
        (config(step(1, 0), step(1, 5)), "At most one step adjustment may have an unspecified upper bound"),
        (
            config(step(-1, -10, 0)),
            "There must be a step adjustment with an unspecified lower bound when one step adjustment has a negative "
            "lower bound",
        ),
        (
            config(step(1, 0, 10)),
            "There must be a step adjustment with an unspecified upper bound when one step adjustment has a positive "
            "upper bound",
        ),
        (config(step(1, 0, 10), step(2, 9)), "Step adjustment intervals cannot overlap"),
        (config(step(1, 0, 10), step(2, 11)), "Step adjustment intervals cannot have gaps between them"),
        (
            config(step(-1, 0), kind="ExactCapacity"),
            "Scaling adjustment cannot be less than 0 when adjustment type is ExactCapacity",
        ),
        (
            config(step(1, 0), MinAdjustmentMagnitude=2),
            "Minimum adjustment magnitude is only allowed for adjustment type PercentChangeInCapacity",
        ),
    ],
)
def test_steps_that_break_a_rule_are_refused_in_aws_s_words(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as raised:
        step_scaling(given)
    assert (raised.value.code, raised.value.message) == ("ValidationException", message)


@pytest.mark.parametrize(
    "given",
    [
        config(step(1, 0)),
        config(step(-1, None, 0)),
        config(step(-2, None, -10), step(-1, -10, 0)),
        config(step(-2, None, -10), step(0, -10, 10), step(2, 10)),
        config(step(2, 10), step(-2, None, -10), step(0, -10, 10)),  # in any order
        config(step(0, 0), kind="ExactCapacity"),
        config(*(step(1, n, n + 1) for n in range(19)), step(1, 19)),
    ],
)
def test_steps_that_keep_the_rules_are_taken(given: dict[str, Any]) -> None:
    assert len(step_scaling(given).steps) == len(given["StepAdjustments"])


@pytest.mark.parametrize(
    ("given", "comparison", "metric", "adjustment"),
    [
        (OUT, Comparison.GREATER_OR_EQUAL, 50.0, 0),
        (OUT, Comparison.GREATER_OR_EQUAL, 59.9, 0),
        (OUT, Comparison.GREATER_OR_EQUAL, 60.0, 10),
        (OUT, Comparison.GREATER_OR_EQUAL, 69.9, 10),
        (OUT, Comparison.GREATER_OR_EQUAL, 70.0, 30),
        (OUT, Comparison.GREATER_OR_EQUAL, 7000.0, 30),
        (OUT, Comparison.GREATER_OR_EQUAL, 49.9, None),
        (IN, Comparison.LESS_OR_EQUAL, 50.0, 0),
        (IN, Comparison.LESS_OR_EQUAL, 40.1, 0),
        (IN, Comparison.LESS_OR_EQUAL, 40.0, -10),
        (IN, Comparison.LESS_OR_EQUAL, 30.1, -10),
        (IN, Comparison.LESS_OR_EQUAL, 30.0, -30),
        (IN, Comparison.LESS_OR_EQUAL, 0.0, -30),
        (IN, Comparison.LESS_OR_EQUAL, 50.1, None),
    ],
)
def test_a_step_holds_the_bound_on_the_side_of_the_threshold(
    given: dict[str, Any], comparison: Comparison, metric: float, adjustment: int | None
) -> None:
    found = step_for(step_scaling(given), metric, 50.0, comparison)
    assert (found.adjustment if found else None) == adjustment


def test_a_bound_is_added_to_the_threshold() -> None:
    """0.9 - 0.8 is less than 0.1 for a computer; 0.8 + 0.1 is 0.9."""
    found = step_for(step_scaling(config(step(1, 0, 0.1), step(2, 0.1))), 0.9, 0.8, Comparison.GREATER_OR_EQUAL)
    assert found == Step(2, 0.1)


@pytest.mark.parametrize(
    ("current", "percent", "expected"),
    [
        (10, 10, 11),
        (11, 30, 14),  # 3.3
        (14, -10, 13),  # -1.4
        (13, -30, 10),  # -3.9
        (127, 10, 139),  # 12.7 -> 12
        (67, 1, 68),  # 0.67 -> 1
        (58, -1, 57),  # -0.58 -> -1
        (29, -23, 23),  # -6.67 -> -6
        (10, 0, 10),
        (10, -100, 0),
        (10, -150, 0),
        (0, 50, 0),
    ],
)
def test_a_percentage_is_rounded_as_aws_does(current: int, percent: int, expected: int) -> None:
    scaling = StepScaling(AdjustmentType.PERCENT, ())
    assert adjusted_capacity(scaling, Step(percent), current) == expected


@pytest.mark.parametrize(
    ("current", "percent", "magnitude", "expected"),
    [(4, 25, 2, 6), (40, 25, 2, 50), (4, -25, 2, 2), (1, -25, 2, 0), (0, 25, 2, 2), (4, 0, 2, 4)],
)
def test_a_percentage_changes_by_the_minimum_magnitude(
    current: int, percent: int, magnitude: int, expected: int
) -> None:
    scaling = StepScaling(AdjustmentType.PERCENT, (), magnitude)
    assert adjusted_capacity(scaling, Step(percent), current) == expected


def test_a_change_is_added_and_an_exact_capacity_is_set() -> None:
    assert adjusted_capacity(StepScaling(AdjustmentType.CHANGE, ()), Step(3), 4) == 7
    assert adjusted_capacity(StepScaling(AdjustmentType.CHANGE, ()), Step(-3), 2) == 0
    assert adjusted_capacity(StepScaling(AdjustmentType.EXACT, ()), Step(3), 4) == 3
