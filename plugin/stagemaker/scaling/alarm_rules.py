"""When a CloudWatch alarm changes its state, computed here because scaling must not wait for CloudWatch's own
scheduler. Pure.

AWS source: "Configuring how CloudWatch alarms treat missing data" in the user guide of CloudWatch.
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


class MissingData(StrEnum):
    """TreatMissingData of an alarm."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True)
class Alarm:
    """What an alarm compares: of the last `evaluation_periods` points, each of `period_s` seconds, so many as
    `datapoints_to_alarm` must breach. `missing_data` counts when there are fewer points."""

    threshold: float
    comparison: Comparison
    period_s: int = 60
    evaluation_periods: int = 1
    datapoints_to_alarm: int = 1
    missing_data: MissingData = MissingData.MISSING

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


def alarm_state(
    points: Sequence[float | None], alarm: Alarm, before: AlarmState = AlarmState.INSUFFICIENT_DATA
) -> AlarmState:
    """The state after the last of `points`, which has one entry for each period, the oldest first, None for a period
    without data. `before` is the state that the alarm has, which TreatMissingData "ignore" keeps."""
    values = evaluated(points, alarm)
    breaching = sum(map(alarm.breaches, values))
    if alarm.missing_data is MissingData.BREACHING:
        breaching += alarm.evaluation_periods - len(values)
    if breaching >= alarm.datapoints_to_alarm:
        return AlarmState.ALARM
    if alarm.missing_data in (MissingData.BREACHING, MissingData.NOT_BREACHING) or breaching < len(values):
        return AlarmState.OK
    if alarm.missing_data is MissingData.IGNORE:
        return before
    if not values:
        return AlarmState.INSUFFICIENT_DATA
    return AlarmState.ALARM if _oldest_age(points, alarm) >= alarm.datapoints_to_alarm else AlarmState.OK


def _oldest_age(points: Sequence[float | None], alarm: Alarm) -> int:
    """How many periods ago the oldest point was. Where all points breach and some are missing, AWS waits with ALARM
    until the oldest is as old as the number of points to alarm, so that `- - X - -` is one of 3 and `- - - - X` is
    none."""
    recent = points[-alarm.window :]
    return next((len(recent) - place for place, value in enumerate(recent) if value is not None), 0)
