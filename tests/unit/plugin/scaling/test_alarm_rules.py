"""The state of a CloudWatch alarm, as AWS's tables of missing data have it: `0` holds, `X` breaches, `-` is missing."""

import pytest

from stagemaker.scaling.alarm_rules import Alarm, AlarmState, Comparison, alarm_state, evaluated
from tests.unit.plugin.scaling.policies import points


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 - X - X", AlarmState.OK),
        ("- - - - 0", AlarmState.OK),
        ("- - - - -", AlarmState.INSUFFICIENT_DATA),
        ("0 X X - X", AlarmState.ALARM),
        ("- - X - -", AlarmState.ALARM),
        ("- - - - X", AlarmState.OK),  # AWS says only that it is no ALARM
        ("- - - X -", AlarmState.OK),
        ("- - - X 0", AlarmState.OK),
        ("- - X - 0", AlarmState.OK),
        ("0 0 X X X", AlarmState.ALARM),
        ("X X X X 0", AlarmState.OK),
    ],
)
def test_three_of_three_points(text: str, expected: AlarmState) -> None:
    assert alarm_state(points(text), Alarm(50.0, Comparison.GREATER, 60, 3, 3)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 - X - X", AlarmState.ALARM),
        ("0 0 X 0 X", AlarmState.ALARM),
        ("0 - X - -", AlarmState.OK),
        ("- - - - 0", AlarmState.OK),
        ("- - - X -", AlarmState.ALARM),
        ("- - - - -", AlarmState.INSUFFICIENT_DATA),
        ("X X 0 0 0", AlarmState.OK),
    ],
)
def test_two_of_three_points(text: str, expected: AlarmState) -> None:
    assert alarm_state(points(text), Alarm(50.0, Comparison.GREATER, 60, 3, 2)) is expected


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above"),
    [
        (Comparison.GREATER, False, False, True),
        (Comparison.GREATER_OR_EQUAL, False, True, True),
        (Comparison.LESS, True, False, False),
        (Comparison.LESS_OR_EQUAL, True, True, False),
    ],
)
def test_a_point_is_compared_as_the_operator_says(
    comparison: Comparison, below: bool, equal: bool, above: bool
) -> None:
    alarm = Alarm(50.0, comparison)
    assert [alarm.breaches(value) for value in (49.9, 50.0, 50.1)] == [below, equal, above]


def test_a_new_metric_has_no_data() -> None:
    assert alarm_state([], Alarm(50.0, Comparison.GREATER)) is AlarmState.INSUFFICIENT_DATA


def test_an_alarm_goes_off_with_its_last_point_and_not_before() -> None:
    alarm = Alarm(50.0, Comparison.LESS, 60, 15, 15)
    assert alarm_state([40.0] * 14, alarm) is AlarmState.OK
    assert alarm_state([40.0] * 15, alarm) is AlarmState.ALARM
    assert alarm_state([40.0] * 14 + [50.0], alarm) is AlarmState.OK


def test_a_point_older_than_the_window_does_not_count() -> None:
    alarm = Alarm(50.0, Comparison.GREATER, 60, 3, 3)
    assert alarm.window == 5
    assert alarm_state(points("X - - - - -"), alarm) is AlarmState.INSUFFICIENT_DATA
    assert evaluated([1.0, 2.0, None, 3.0, None, 4.0], alarm) == (2.0, 3.0, 4.0)
