"""The state of a CloudWatch alarm, as AWS's tables of missing data have it: `0` holds, `X` breaches, `-` is missing."""

import pytest

from stagemaker.scaling.alarm_rules import Alarm, AlarmState, Comparison, MissingData, alarm_state, evaluated
from tests.unit.plugin.scaling.policies import points

OK, ALARM, NO_DATA = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
KEPT = None  # the state that the alarm had


def states(text: str, to_alarm: int) -> list[AlarmState | None]:
    """Of an alarm of 3 periods for each TreatMissingData, whatever state it had; KEPT where it has that one still."""
    found: list[AlarmState | None] = []
    for missing in MissingData:
        alarm = Alarm(50.0, Comparison.GREATER, 60, 3, to_alarm, missing)
        after = {alarm_state(points(text), alarm, before) for before in AlarmState}
        found.append(after.pop() if len(after) == 1 else KEPT)
    return found


# In the order of AWS's tables: missing, ignore, breaching, notBreaching.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 - X - X", [OK, OK, OK, OK]),
        ("0 - - - -", [OK, OK, OK, OK]),
        ("- - - - -", [NO_DATA, KEPT, ALARM, OK]),
        ("0 X X - X", [ALARM, ALARM, ALARM, ALARM]),
        ("- - X - -", [ALARM, KEPT, ALARM, OK]),
        # The text below the tables says that these are not ALARM.
        ("- - - - X", [OK, KEPT, ALARM, OK]),
        ("- - - X -", [OK, KEPT, ALARM, OK]),
        ("- - - X 0", [OK, OK, OK, OK]),
        ("- - X - 0", [OK, OK, OK, OK]),
        # Enough points.
        ("0 0 X X X", [ALARM, ALARM, ALARM, ALARM]),
        ("X X X X 0", [OK, OK, OK, OK]),
    ],
)
def test_three_of_three_points(text: str, expected: list[AlarmState | None]) -> None:
    assert states(text, to_alarm=3) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 - X - X", [ALARM, ALARM, ALARM, ALARM]),
        ("0 0 X 0 X", [ALARM, ALARM, ALARM, ALARM]),
        ("0 - X - -", [OK, OK, ALARM, OK]),
        ("- - - - 0", [OK, OK, ALARM, OK]),
        ("- - - X -", [ALARM, KEPT, ALARM, OK]),
        ("- - - - -", [NO_DATA, KEPT, ALARM, OK]),
        ("X X 0 0 0", [OK, OK, OK, OK]),
    ],
)
def test_two_of_three_points(text: str, expected: list[AlarmState | None]) -> None:
    assert states(text, to_alarm=2) == expected


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
