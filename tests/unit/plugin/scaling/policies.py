"""Policies and what they see, as short as the tests need them."""

from typing import Any

from stagemaker.scaling.alarm_rules import AlarmState, Comparison, alarm_state
from stagemaker.scaling.decision import LastScaling, StepView, TrackingView
from stagemaker.scaling.steps import step_scaling
from stagemaker.scaling.tracking import TargetTracking, high_alarm, low_alarm

VALUES = {"0": 1.0, "X": 99.0, "-": None}


def points(text: str) -> list[float | None]:
    """As AWS's tables of missing data write them: `0` does not breach a threshold of 50, `X` does, `-` is missing."""
    return [VALUES[letter] for letter in text.split()]


def step(adjustment: int, lower: float | None = None, upper: float | None = None) -> dict[str, Any]:
    """A StepAdjustment."""
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {"ScalingAdjustment": adjustment, **{name: value for name, value in bounds.items() if value is not None}}


def config(*steps: dict[str, Any], kind: str = "ChangeInCapacity", **members: Any) -> dict[str, Any]:
    """A StepScalingPolicyConfiguration."""
    return {"AdjustmentType": kind, "StepAdjustments": list(steps), **members}


def tracking(metric: float | None, policy: str = "T", **members: Any) -> TrackingView:
    """A target tracking policy, target 100, whose metric has been the same for 20 periods."""
    setting = TargetTracking(100.0, **members)
    seen = [metric] * 20
    high, low = alarm_state(seen, high_alarm(setting)), alarm_state(seen, low_alarm(setting))
    return TrackingView(policy, setting, f"{policy}-AlarmHigh", high, f"{policy}-AlarmLow", low, seen)


def stepping(*steps: dict[str, Any], metric: float, policy: str = "S", **members: Any) -> StepView:
    """A step scaling policy in alarm, threshold 50, above it or below it as the metric is."""
    comparison = Comparison.GREATER_OR_EQUAL if metric >= 50 else Comparison.LESS_OR_EQUAL
    scaling = step_scaling(config(*steps, **members))
    return StepView(policy, scaling, f"{policy}-alarm", AlarmState.ALARM, metric, 50.0, comparison)


def went_out(base: int, capacity: int, ended_s: float | None = 0.0, cooldown_s: float = 300.0) -> LastScaling:
    """A scale-out whose cooldown lasts until 300 s."""
    return LastScaling(base, capacity, cooldown_s, ended_s)
