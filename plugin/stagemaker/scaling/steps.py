"""Step scaling: the rules of its steps, and the capacity that a step asks for. Pure.

AWS source: StepScalingPolicyConfiguration and StepAdjustment in the API reference of Application Auto Scaling, and
"Step scaling policies for Application Auto Scaling" in its user guide.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.scaling.alarm_rules import Comparison

COOLDOWN_S = 300.0  # AWS's default for a SageMaker variant
MAX_STEPS = 20  # AWS's quota, which PutScalingPolicy checks


class AdjustmentType(StrEnum):
    """What the number of a step means."""

    CHANGE = "ChangeInCapacity"
    EXACT = "ExactCapacity"
    PERCENT = "PercentChangeInCapacity"


@dataclass(frozen=True)
class Step:
    """The adjustment for a metric between two bounds, which are relative to the alarm's threshold. Without a bound
    they are infinite."""

    adjustment: int
    lower: float = -math.inf
    upper: float = math.inf


@dataclass(frozen=True)
class StepScaling:
    """StepScalingPolicyConfiguration. `steps` go from the lowest to the highest, without gap or overlap."""

    adjustment_type: AdjustmentType
    steps: tuple[Step, ...]
    min_magnitude: int = 0
    cooldown_s: float = COOLDOWN_S


def step_scaling(config: Mapping[str, Any]) -> StepScaling:
    """Of a StepScalingPolicyConfiguration. Raises ValidationException for steps that break a rule, in AWS's words as
    users report them."""
    if "AdjustmentType" not in config:
        raise validation_error("Adjustment type must be specified")
    kind = AdjustmentType(config["AdjustmentType"])
    magnitude = config.get("MinAdjustmentMagnitude")
    if magnitude is not None and kind is not AdjustmentType.PERCENT:
        raise validation_error(
            "Minimum adjustment magnitude is only allowed for adjustment type PercentChangeInCapacity"
        )
    steps = [
        Step(
            given["ScalingAdjustment"],
            given.get("MetricIntervalLowerBound", -math.inf),
            given.get("MetricIntervalUpperBound", math.inf),
        )
        for given in config.get("StepAdjustments", ())
    ]
    if refusal := _refusal(steps, kind):
        raise validation_error(refusal)
    ordered = tuple(sorted(steps, key=lambda step: step.lower))
    return StepScaling(kind, ordered, magnitude or 0, config.get("Cooldown", COOLDOWN_S))


def _refusal(steps: Sequence[Step], kind: AdjustmentType) -> str:
    """Which rule is broken, in AWS's words; empty for none."""
    ordered = sorted(steps, key=lambda step: step.lower)
    meetings = list(pairwise(ordered))
    open_below = [step for step in steps if step.lower == -math.inf]
    open_above = [step for step in steps if step.upper == math.inf]
    unspecified = (
        "There must be a step adjustment with an unspecified {0} bound when one step adjustment has a {1} {0} bound"
    )
    rules = (
        (not steps, "There must be at least one step adjustment"),
        (
            any(step.lower == -math.inf and step.upper == math.inf for step in steps),
            "Both lower and upper bounds of a step adjustment cannot be left unspecified",
        ),
        (
            any(step.lower >= step.upper for step in steps),
            "Lower bound must be less than upper bound for a step adjustment",
        ),
        (len(open_below) > 1, "At most one step adjustment may have an unspecified lower bound"),
        (len(open_above) > 1, "At most one step adjustment may have an unspecified upper bound"),
        (any(step.lower < 0 for step in steps) and not open_below, unspecified.format("lower", "negative")),
        (any(step.upper > 0 for step in steps) and not open_above, unspecified.format("upper", "positive")),
        (any(one.upper > two.lower for one, two in meetings), "Step adjustment intervals cannot overlap"),
        (
            any(one.upper < two.lower for one, two in meetings),
            "Step adjustment intervals cannot have gaps between them",
        ),
        (
            kind is AdjustmentType.EXACT and any(step.adjustment < 0 for step in steps),
            "Scaling adjustment cannot be less than 0 when adjustment type is ExactCapacity",
        ),
    )
    return next((sentence for is_broken, sentence in rules if is_broken), "")


def step_for(scaling: StepScaling, metric: float, threshold: float, comparison: Comparison) -> Step | None:
    """The step for a metric; None where none covers it. Above the threshold a step holds its lower bound and not its
    upper, below it the other way round."""
    for step in scaling.steps:
        lower, upper = threshold + step.lower, threshold + step.upper
        if lower <= metric < upper if comparison.is_above else lower < metric <= upper:
            return step
    return None


def adjusted_capacity(scaling: StepScaling, step: Step, current: int) -> int:
    """The capacity after a step, never below 0. AWS rounds a percentage: above 1 and below -1 towards zero, between
    them and zero to 1 and to -1."""
    match scaling.adjustment_type:
        case AdjustmentType.EXACT:
            return step.adjustment
        case AdjustmentType.CHANGE:
            change = step.adjustment
        case AdjustmentType.PERCENT:
            change = _percent_change(current, step.adjustment, scaling.min_magnitude)
    return max(current + change, 0)


def _percent_change(current: int, percent: int, min_magnitude: int) -> int:
    if percent == 0:
        return 0
    sign = 1 if percent > 0 else -1
    magnitude = abs(current * percent) // 100
    return sign * max(magnitude, min_magnitude, 1 if current else 0)
