"""Cron expressions as Application Auto Scaling reads them."""

from datetime import datetime

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.scaling.cron import next_local, parse

BOTH_DAYS = "Support for specifying both a day-of-week AND a day-of-month parameter is not implemented."
FIELDS = "[Minutes] [Hours] [Day_of_Month] [Month] [Day_of_Week] [Year]"
MONDAY_NOON = "2026-03-02T12:00:00"  # March 2026 begins with a Sunday


@pytest.mark.parametrize(
    ("fields", "after", "expected"),
    [
        # AWS's examples in the cron expressions reference of EventBridge.
        ("0 10 * * ? *", MONDAY_NOON, ["2026-03-03T10:00", "2026-03-04T10:00"]),
        ("15 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:15", "2026-03-03T12:15"]),
        ("0 18 ? * MON-FRI *", "2026-03-06T18:00:00", ["2026-03-09T18:00", "2026-03-10T18:00"]),
        ("0 8 1 * ? *", MONDAY_NOON, ["2026-04-01T08:00", "2026-05-01T08:00"]),
        ("0/10 * ? * MON-FRI *", "2026-03-06T23:45:00", ["2026-03-06T23:50", "2026-03-09T00:00"]),
        ("0/5 8-17 ? * MON-FRI *", "2026-03-06T17:52:00", ["2026-03-06T17:55", "2026-03-09T08:00"]),
        ("0 9 ? * 2#1 *", MONDAY_NOON, ["2026-04-06T09:00", "2026-05-04T09:00"]),
        ("15 10 ? * 6L 2026-2027", MONDAY_NOON, ["2026-03-27T10:15", "2026-04-24T10:15"]),
        ("30 6 ? * MON *", MONDAY_NOON, ["2026-03-09T06:30"]),
        # Lists, ranges, increments.
        ("0 0 1,15 * ? *", MONDAY_NOON, ["2026-03-15T00:00", "2026-04-01T00:00"]),
        ("7,3,5 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:03", "2026-03-02T12:05", "2026-03-02T12:07"]),
        ("*/20 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:20", "2026-03-02T12:40", "2026-03-03T12:00"]),
        ("/30 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:30", "2026-03-03T12:00"]),
        ("50/5 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:50", "2026-03-02T12:55", "2026-03-03T12:50"]),
        ("10-20/5 12 * * ? *", MONDAY_NOON, ["2026-03-02T12:10", "2026-03-02T12:15", "2026-03-02T12:20"]),
        ("0 22-2/2 * * ? *", MONDAY_NOON, ["2026-03-02T22:00", "2026-03-03T00:00", "2026-03-03T02:00"]),
        ("0 12 ? * FRI-SUN *", MONDAY_NOON, ["2026-03-06T12:00", "2026-03-07T12:00", "2026-03-08T12:00"]),
        ("0 12 ? * SAT,MON *", MONDAY_NOON, ["2026-03-07T12:00", "2026-03-09T12:00"]),
        ("0 12 ? * 1 *", MONDAY_NOON, ["2026-03-08T12:00"]),  # 1 is Sunday
        ("0 12 1 nov-feb ? *", MONDAY_NOON, ["2026-11-01T12:00", "2026-12-01T12:00", "2027-01-01T12:00"]),
        ("0 12 1 JAN,JUL ? *", MONDAY_NOON, ["2026-07-01T12:00", "2027-01-01T12:00"]),
        ("0 12 1 JAN ? 2028/10", MONDAY_NOON, ["2028-01-01T12:00", "2038-01-01T12:00"]),
        # The end of a month.
        ("0 12 L * ? *", MONDAY_NOON, ["2026-03-31T12:00", "2026-04-30T12:00", "2026-05-31T12:00"]),
        ("0 12 L 2 ? *", MONDAY_NOON, ["2027-02-28T12:00", "2028-02-29T12:00"]),
        ("0 12 L-3 * ? *", MONDAY_NOON, ["2026-03-28T12:00", "2026-04-27T12:00"]),
        ("0 12 L-28 2 ? *", MONDAY_NOON, ["2028-02-01T12:00"]),  # February has 29 days
        ("0 12 31 * ? *", MONDAY_NOON, ["2026-03-31T12:00", "2026-05-31T12:00"]),
        ("0 12 29 2 ? *", MONDAY_NOON, ["2028-02-29T12:00", "2032-02-29T12:00"]),
        ("0 12 29 2 ? *", "2096-02-29T12:00:00", ["2104-02-29T12:00"]),  # 2100 is no leap year
        # W: the weekday nearest to a day, in the same month.
        ("0 12 14W * ? *", MONDAY_NOON, ["2026-03-13T12:00", "2026-04-14T12:00"]),  # the 14th is a Saturday
        ("0 12 15W * ? *", MONDAY_NOON, ["2026-03-16T12:00"]),  # a Sunday
        ("0 12 1W * ? *", "2026-07-31T12:00:00", ["2026-08-03T12:00"]),  # a Saturday, and the first of the month
        ("0 12 31W 5 ? *", MONDAY_NOON, ["2026-05-29T12:00"]),  # a Sunday, and the last of the month
        ("0 12 LW * ? *", MONDAY_NOON, ["2026-03-31T12:00", "2026-04-30T12:00", "2026-05-29T12:00"]),
        ("0 12 31W 4,5 ? *", MONDAY_NOON, ["2026-05-29T12:00"]),  # April has no 31st
        # Days of the week by number in the month.
        ("0 12 ? * L *", MONDAY_NOON, ["2026-03-07T12:00", "2026-03-14T12:00"]),  # each Saturday
        ("0 12 ? * MONL *", MONDAY_NOON, ["2026-03-30T12:00", "2026-04-27T12:00"]),
        ("0 12 ? * FRI#3 *", MONDAY_NOON, ["2026-03-20T12:00", "2026-04-17T12:00"]),
        ("0 12 ? * TUE#5 *", MONDAY_NOON, ["2026-03-31T12:00", "2026-06-30T12:00"]),
        # 7 fields begin with seconds, 5 have no year.
        ("15 30 6 ? * MON *", MONDAY_NOON, ["2026-03-09T06:30:15"]),
        ("30 6 ? * MON", MONDAY_NOON, ["2026-03-09T06:30"]),
        ("  30   6 ?  * MON * ", MONDAY_NOON, ["2026-03-09T06:30"]),
    ],
)
def test_the_next_runs(fields: str, after: str, expected: list[str]) -> None:
    cron, moment = parse(fields), datetime.fromisoformat(after)
    found = []
    for _ in expected:
        following = next_local(cron, moment)
        assert following is not None
        found.append(following)
        moment = following
    assert found == [datetime.fromisoformat(text) for text in expected]


@pytest.mark.parametrize("fields", ["0 12 1 1 ? 2025", "0 12 30 2 ? *", "0 12 ? 2 SUN#5 2026-2030", "0 12 L-30 4 ? *"])
def test_an_expression_can_have_no_run_left(fields: str) -> None:
    assert next_local(parse(fields), datetime.fromisoformat(MONDAY_NOON)) is None


def test_the_year_ends_in_2199() -> None:
    assert next_local(parse("0 12 * * ? *"), datetime.fromisoformat("2199-12-31T12:00:00")) is None


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ("0 16 * * MON-FRI *", BOTH_DAYS),
        ("0 16 1 * 2 *", BOTH_DAYS),
        ("0 16 ? * ? *", "'?' can only be specified for Day-of-Month -OR- Day-of-Week."),
        ("0 16 ? MON 2 *", "Invalid Month value: 'MON'"),
        ("60 16 ? * 2 *", "Invalid Minutes value: '60'"),
        ("0 24 ? * 2 *", "Invalid Hours value: '24'"),
        ("60 0 16 ? * 2 *", "Invalid Seconds value: '60'"),
        ("0 16 0 * ? *", "Invalid Day-of-Month value: '0'"),
        ("0 16 32 * ? *", "Invalid Day-of-Month value: '32'"),
        ("0 16 ? * 0 *", "Invalid Day-of-Week value: '0'"),
        ("0 16 ? * 8 *", "Invalid Day-of-Week value: '8'"),
        ("0 16 ? 13 2 *", "Invalid Month value: '13'"),
        ("0 16 ? * 2 1969", "Invalid Year value: '1969'"),
        ("0 16 ? * 2 2200", "Invalid Year value: '2200'"),
        ("0 16 ? * 2 2030-2020", "Start year must be less than stop year: '2030-2020'"),
        ("0/60 16 ? * 2 *", "Increment > 59 : 60"),
        ("0/0 16 ? * 2 *", "Increment of 0 in Minutes"),
        ("? 16 ? * 2 *", "Illegal characters for Minutes: '?'"),
        ("1, 16 ? * 2 *", "Illegal characters for Minutes: ''"),
        ("*-5 16 ? * 2 *", "Illegal characters for Minutes: '*-5'"),
        ("-5 16 ? * 2 *", "Illegal characters for Minutes: '-5'"),
        ("1-2-3 16 ? * 2 *", "Illegal characters for Minutes: '1-2-3'"),
        ("1_0 16 ? * 2 *", "Illegal characters for Minutes: '1_0'"),
        ("\N{ARABIC-INDIC DIGIT ONE} 16 ? * 2 *", "Illegal characters for Minutes: '\N{ARABIC-INDIC DIGIT ONE}'"),
        ("0 16 L,5 * ? *", "'L' and 'W' cannot be in a list or range for Day-of-Month: 'L,5'"),
        ("0 16 1W,5 * ? *", "'L' and 'W' cannot be in a list or range for Day-of-Month: '1W,5'"),
        ("0 16 32W * ? *", "Invalid Day-of-Month value: '32'"),
        ("0 16 L-31 * ? *", "Offset from last day must be <= 30"),
        ("0 16 ? * MON#6 *", "A numeric value between 1 and 5 must follow the '#' option"),
        ("0 16 ? * MON#1,TUE#2 *", "'#' cannot be in a list or range for Day-of-Week: 'MON#1,TUE#2'"),
        ("0 16 ? * MONDAY *", "Invalid Day-of-Week value: 'MONDAY'"),
        ("0 16 * *", f"Expected 6 fields but found 4: {FIELDS}"),
        ("0 0 0 1 1 ? 2027 2028", f"Expected 6 fields but found 8: {FIELDS}"),
        ("", f"Expected 6 fields but found 0: {FIELDS}"),
    ],
)
def test_a_wrong_expression_is_refused_with_its_place(fields: str, detail: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse(fields)
    assert raised.value.code == "ValidationException"
    assert raised.value.message == (
        f"Invalid schedule expression. Details: Invalid CRON expression: error at position 0, details: {detail}"
    )
