"""Target tracking: its two alarms, and the capacity that brings a metric to its target. Pure.

AWS documents that target tracking scales in proportion to the metric, not the formula; the formula is ours.
"""

import math
from dataclasses import dataclass

from stagemaker.scaling.alarm_rules import Alarm, Comparison

HIGH_PERIODS = 3  # AWS's: seen on a live account, target 1500: above 1500, 3 of 3 points of a minute
LOW_PERIODS = 15  # AWS's, as above: below 1350, 15 of 15 points of a minute
LOW_TENTHS = 9  # AWS's, as above: the low alarm is at 0.9 of the target
MINUTE_S = 60
HIGH_RESOLUTION_S = 10  # AWS's: the period of the metrics whose name ends with HighResolution
ROUNDING = 1e-9  # (ours) a sum of fractions 1/instances is this close to the number that it stands for


@dataclass(frozen=True)
class TargetTracking:
    """TargetTrackingScalingPolicyConfiguration without the metric. `period_s` is the metric's: 60, or 10 for one of
    high resolution. The cooldowns' defaults are AWS's for a SageMaker variant."""

    target_value: float
    scale_in_cooldown_s: float = 300.0
    scale_out_cooldown_s: float = 300.0
    disable_scale_in: bool = False
    period_s: int = MINUTE_S

    @property
    def low_threshold(self) -> float:
        """Below it the capacity is clearly too large."""
        return self.target_value * LOW_TENTHS / 10


def high_alarm(tracking: TargetTracking) -> Alarm:
    """AlarmHigh. A metric of high resolution alarms after 3 points too, which are 30 s: AWS says that it notices
    the need 6 times faster."""
    return Alarm(tracking.target_value, Comparison.GREATER, tracking.period_s, HIGH_PERIODS, HIGH_PERIODS)


def low_alarm(tracking: TargetTracking) -> Alarm:
    """AlarmLow: 15 minutes, also for a metric of high resolution (ours)."""
    periods = LOW_PERIODS * MINUTE_S // tracking.period_s
    return Alarm(tracking.low_threshold, Comparison.LESS, tracking.period_s, periods, periods)


def desired_capacity(current: int, metric: float, tracking: TargetTracking) -> int:
    """The capacity with which the metric would be at its target or below: ceil(current * metric / target) (ours).
    Between 0.9 of the target and the target it stays. From zero it begins with one, because nothing is known of how
    much one takes."""
    target = tracking.target_value
    if tracking.low_threshold <= metric <= target:
        return current
    if current == 0:
        return 1 if metric > target else 0
    exact = current * metric / target
    nearest = round(exact)
    return nearest if math.isclose(exact, nearest, rel_tol=ROUNDING) else math.ceil(exact)
