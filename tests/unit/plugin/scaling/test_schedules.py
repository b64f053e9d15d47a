"""When a scheduled action runs, in its time zone and through daylight saving."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.scaling.schedules import Once, Rate, next_time, parse_schedule

NOON_S = 1_772_452_800.0  # Monday 2 March 2026, 12:00 UTC


def epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def runs(expression: str, timezone: str, after: str, count: int) -> list[str]:
    """The next runs with their offset from UTC."""
    schedule, moment_s, found = parse_schedule(expression, timezone), epoch_s(after), []
    for _ in range(count):
        following_s = next_time(schedule, moment_s)
        assert following_s is not None
        moment_s = following_s
        found.append(datetime.fromtimestamp(moment_s, ZoneInfo(timezone)).isoformat())
    return found


def test_at_runs_once() -> None:
    schedule = parse_schedule("at(2026-03-02T13:30:00)")
    assert schedule == Once(NOON_S + 5400)
    assert next_time(schedule, NOON_S) == NOON_S + 5400
    assert next_time(schedule, NOON_S + 5399.5) == NOON_S + 5400
    assert next_time(schedule, NOON_S + 5400) is None


def test_at_is_in_its_time_zone_and_can_leave_the_seconds_out() -> None:
    assert parse_schedule("at(2026-03-02T13:30)", "Europe/Berlin") == Once(NOON_S + 1800)
    assert parse_schedule("at(2026-03-02T13:30:00)", "Etc/GMT+9") == Once(NOON_S + 5400 + 9 * 3600)  # 9 hours behind


def test_at_a_time_that_daylight_saving_skips_counts_with_the_offset_before() -> None:
    skipped = parse_schedule("at(2026-03-29T02:30:00)", "Europe/Berlin")
    assert skipped == parse_schedule("at(2026-03-29T03:30:00)", "Europe/Berlin")


@pytest.mark.parametrize(
    ("expression", "period_s"),
    [
        ("rate(1 minute)", 60),
        ("rate(5 minutes)", 300),
        ("rate(5 minute)", 300),  # AWS takes either number of either word
        ("rate(1 hours)", 3600),
        ("rate(12 hours)", 43200),
        ("rate(1 day)", 86400),
        ("rate(7days)", 604800),
    ],
)
def test_a_rate_is_a_period(expression: str, period_s: int) -> None:
    assert parse_schedule(expression) == Rate(period_s)


def test_a_rate_counts_from_its_creation_or_its_start() -> None:
    schedule = parse_schedule("rate(10 minutes)")
    assert next_time(schedule, NOON_S, created_s=NOON_S) == NOON_S + 600
    assert next_time(schedule, NOON_S + 599, created_s=NOON_S) == NOON_S + 600
    assert next_time(schedule, NOON_S + 600, created_s=NOON_S) == NOON_S + 1200
    assert next_time(schedule, NOON_S + 601, created_s=NOON_S, start_s=NOON_S + 100) == NOON_S + 700


@pytest.mark.parametrize("expression", ["rate(1 day)", "cron(0 9 * * ? *)"])
def test_a_recurring_schedule_runs_at_its_start_and_not_before(expression: str) -> None:
    schedule = parse_schedule(expression)
    start_s = NOON_S + 10 * 86400
    assert next_time(schedule, NOON_S, created_s=NOON_S, start_s=start_s) == start_s
    following_s = next_time(schedule, start_s, created_s=NOON_S, start_s=start_s)
    assert following_s == (start_s + 86400 if isinstance(schedule, Rate) else start_s + 21 * 3600)


@pytest.mark.parametrize("expression", ["at(2026-03-03T12:00:00)", "rate(1 day)", "cron(0 12 * * ? *)"])
def test_nothing_runs_after_the_end(expression: str) -> None:
    schedule = parse_schedule(expression)
    day_s = NOON_S + 86400
    assert next_time(schedule, NOON_S, created_s=NOON_S, end_s=day_s) == day_s
    assert next_time(schedule, NOON_S, created_s=NOON_S, end_s=day_s - 1) is None
    assert next_time(schedule, day_s, created_s=NOON_S, end_s=day_s) is None


def test_one_run_before_its_start_does_not_happen() -> None:
    schedule = parse_schedule("at(2026-03-03T12:00:00)")
    assert next_time(schedule, NOON_S, start_s=NOON_S + 86401) is None
    assert next_time(schedule, NOON_S, start_s=NOON_S + 86400) == NOON_S + 86400


def test_a_start_after_the_end_has_no_run() -> None:
    assert next_time(parse_schedule("rate(1 day)"), NOON_S, start_s=NOON_S + 20, end_s=NOON_S + 10) is None


def test_cron_follows_the_clocks_of_its_zone() -> None:
    assert runs("cron(30 6 ? * MON *)", "UTC", "2026-03-23T12:00+00:00", 1) == ["2026-03-30T06:30:00+00:00"]
    assert runs("cron(30 6 ? * MON *)", "Europe/Berlin", "2026-03-20T12:00+00:00", 2) == [
        "2026-03-23T06:30:00+01:00",
        "2026-03-30T06:30:00+02:00",
    ]
    assert runs("cron(0 0 1 1 ? *)", "Pacific/Auckland", "2026-12-31T10:59:59+00:00", 1) == [
        "2027-01-01T00:00:00+13:00"
    ]


def test_an_hour_that_daylight_saving_skips_has_no_run() -> None:
    """Berlin, 29 March 2026: 02:00 is 03:00."""
    assert runs("cron(30 2 * * ? *)", "Europe/Berlin", "2026-03-28T00:00+00:00", 3) == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:30:00+02:00",
    ]
    assert runs("cron(0/30 1-3 * * ? *)", "Europe/Berlin", "2026-03-29T00:00+00:00", 3) == [
        "2026-03-29T01:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-29T03:30:00+02:00",
    ]


def test_an_hour_that_comes_twice_has_its_runs_the_first_time() -> None:
    """New York, 1 November 2026: 02:00 is 01:00 again."""
    assert runs("cron(30 1 * * ? *)", "America/New_York", "2026-11-01T00:00-04:00", 2) == [
        "2026-11-01T01:30:00-04:00",
        "2026-11-02T01:30:00-05:00",
    ]
    assert runs("cron(30 1 * * ? *)", "America/New_York", "2026-11-01T01:10-05:00", 1) == ["2026-11-02T01:30:00-05:00"]
    assert runs("cron(0/30 * * * ? *)", "America/New_York", "2026-11-01T00:45-04:00", 3) == [
        "2026-11-01T01:00:00-04:00",
        "2026-11-01T01:30:00-04:00",
        "2026-11-01T02:00:00-05:00",
    ]


def test_half_an_hour_of_daylight_saving_works_alike() -> None:
    """Lord Howe, 4 October 2026: 02:00 is 02:30."""
    assert runs("cron(0/15 2 * * ? *)", "Australia/Lord_Howe", "2026-10-04T01:00+10:30", 2) == [
        "2026-10-04T02:30:00+11:00",
        "2026-10-04T02:45:00+11:00",
    ]


def test_an_expression_without_a_run_left_ends() -> None:
    assert next_time(parse_schedule("cron(0 12 1 1 ? 2025)"), NOON_S) is None


@pytest.mark.parametrize(
    ("expression", "timezone", "message"),
    [
        (
            "0 12 * * ? *",
            "UTC",
            "Invalid schedule expression. Details: Schedule expressions must have the following syntax: "
            "rate(<number>\\s?(minutes?|hours?|days?)), cron(<cron_expression>) or at(yyyy-MM-dd'T'HH:mm:ss).",
        ),
        ("rate(5 seconds)", "UTC", "Schedule expressions must have the following syntax"),
        ("rate(-5 minutes)", "UTC", "Schedule expressions must have the following syntax"),
        ("rate(1.5 hours)", "UTC", "Schedule expressions must have the following syntax"),
        ("rate(9999999999 days)", "UTC", "Schedule expressions must have the following syntax"),
        ("", "UTC", "Schedule expressions must have the following syntax"),
        ("cron(0 12 * * ? *", "UTC", "Schedule expressions must have the following syntax"),
        ("rate(0 minutes)", "UTC", "Invalid schedule frequency. Runs of rate(0 minutes) are less than 60 seconds"),
        ("cron(0/30 * * * * ? *)", "UTC", "are less than 60 seconds apart."),
        ("at(2026-03-02)", "UTC", "Invalid schedule at DateTime expression: '2026-03-02'"),
        ("at(2026-03-02T12:00:00Z)", "UTC", "Invalid schedule at DateTime expression: '2026-03-02T12:00:00Z'"),
        ("at(2026-02-30T12:00:00)", "UTC", "Invalid schedule at DateTime expression: '2026-02-30T12:00:00'"),
        ("cron(0 25 * * ? *)", "UTC", "Invalid CRON expression: error at position 0, details: Invalid Hours value"),
        ("rate(5 minutes)", "Mars/Base", "Invalid timezone: Mars/Base"),
        ("rate(5 minutes)", "../../etc/passwd", "Invalid timezone: ../../etc/passwd"),
        ("rate(5 minutes)", "America", "Invalid timezone: America"),
        ("rate(5 minutes)", "", "Invalid timezone: "),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, timezone: str, message: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse_schedule(expression, timezone)
    assert raised.value.code == "ValidationException"
    assert message in raised.value.message
