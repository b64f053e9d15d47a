"""When a CloudWatch alarm changes its state, computed here because scaling must not wait for CloudWatch's own
scheduler. Pure.

AWS source: "Configuring how CloudWatch alarms treat missing data", for TreatMissingData "missing", which is the
default and what target tracking uses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class AlarmState(StrEnum):
    """StateValue of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Comparison(StrEnum):
    """ComparisonOperator of an alarm with a fixed threshold."""

    GREATER = "GreaterThanThreshold"
    GREATER_OR_EQUAL = "GreaterThanOrEqualToThreshold"
    LESS = "LessThanThreshold"
    LESS_OR_EQUAL = "LessThanOrEqualToThreshold"

    @property
    def is_above(self) -> bool:
        """Whether the metric breaches above the threshold, not below it."""
        return self in (Comparison.GREATER, Comparison.GREATER_OR_EQUAL)


@dataclass(frozen=True)
class Alarm:
    """What an alarm compares: of the last `evaluation_periods` points, each of `period_s` seconds, so many as
    `datapoints_to_alarm` must breach."""

    threshold: float
    comparison: Comparison
    period_s: int = 60
    evaluation_periods: int = 1
    datapoints_to_alarm: int = 1

    @property
    def window(self) -> int:
        """How many periods back the alarm looks, to find enough points when some are missing. AWS documents no
        number, only a table with 5 for 3 periods; LocalStack's alarms have the same rule (ours)."""
        return self.evaluation_periods + max(self.evaluation_periods // 3, 2)

    def breaches(self, value: float) -> bool:
        """Whether one point is on the wrong side of the threshold."""
        match self.comparison:
            case Comparison.GREATER:
                return value > self.threshold
            case Comparison.GREATER_OR_EQUAL:
                return value >= self.threshold
            case Comparison.LESS:
                return value < self.threshold
            case Comparison.LESS_OR_EQUAL:
                return value <= self.threshold


def evaluated(points: Sequence[float | None], alarm: Alarm) -> tuple[float, ...]:
    """The points that decide, the oldest first: the last `evaluation_periods` of those that are not missing.
    `points` has one entry for each period, the oldest first, None for a period without data."""
    found = [value for value in points[-alarm.window :] if value is not None]
    return tuple(found[-alarm.evaluation_periods :])


def alarm_state(points: Sequence[float | None], alarm: Alarm) -> AlarmState:
    """The state after the last of `points`, which has one entry for each period, the oldest first, None for a period
    without data."""
    values = evaluated(points, alarm)
    if not values:
        return AlarmState.INSUFFICIENT_DATA
    if sum(map(alarm.breaches, values)) >= alarm.datapoints_to_alarm or _all_breach_since_long(points, alarm):
        return AlarmState.ALARM
    return AlarmState.OK


def _all_breach_since_long(points: Sequence[float | None], alarm: Alarm) -> bool:
    """Points are missing, but all that are there breach, and the oldest of them is at least as old as the number of
    points to alarm: AWS calls this no premature alarm, `- - X - -` with 3 points to alarm."""
    recent = points[-alarm.window :]
    ages = [age for age, value in enumerate(reversed(recent), start=1) if value is not None]
    values = [value for value in recent if value is not None]
    return bool(values) and max(ages) >= alarm.datapoints_to_alarm and all(map(alarm.breaches, values))
