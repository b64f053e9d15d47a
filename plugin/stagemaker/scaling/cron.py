"""Cron expressions as Application Auto Scaling has them, which are Quartz's and not Unix's: `?`, `L`, `W`, `#`, names,
a year, days of the week from 1 for Sunday. Pure, and ours because no kept library reads them.

AWS source: "Schedule recurring scaling actions using cron expressions" in the user guide, and "Cron expressions
reference" in the user guide of EventBridge.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from stagemaker.core.errors import validation_error

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIRST_YEAR, LAST_YEAR = 1970, 2199  # AWS's

DayRule = Callable[[date], bool]


@dataclass(frozen=True)
class _Field:
    """The values that one place of an expression can hold, and names for them."""

    label: str
    first: int
    last: int
    names: Mapping[str, int]


_SECONDS = _Field("Seconds", 0, 59, {})
_MINUTES = _Field("Minutes", 0, 59, {})
_HOURS = _Field("Hours", 0, 23, {})
_MONTH_DAYS = _Field("Day-of-Month", 1, 31, {})
_MONTHS = _Field("Month", 1, 12, {name: number for number, name in enumerate(MONTHS, start=1)})
_WEEK_DAYS = _Field("Day-of-Week", 1, 7, {name: number for number, name in enumerate(DAYS, start=1)})
_YEARS = _Field("Year", FIRST_YEAR, LAST_YEAR, {})


@dataclass(frozen=True)
class Cron:
    """The values that each place allows. Of the two rules for days, both must hold; a place with `?` allows all."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    months: frozenset[int]
    years: frozenset[int]
    month_day: DayRule
    week_day: DayRule

    def is_on(self, day: date) -> bool:
        """Whether it runs on a day."""
        return day.year in self.years and day.month in self.months and self.month_day(day) and self.week_day(day)


def parse(fields: str) -> Cron:
    """Of what stands in `cron(...)`: minutes, hours, day of the month, month, day of the week, year; with 7 fields
    the first are seconds; with 5 the year is left out. Raises ValidationException."""
    given = fields.upper().split()
    if not 5 <= len(given) <= 7:
        raise _refusal(
            f"Expected 6 fields but found {len(given)}: [Minutes] [Hours] [Day_of_Month] [Month] [Day_of_Week] [Year]"
        )
    seconds = given.pop(0) if len(given) == 7 else "0"
    minutes, hours, month_days, months, week_days, years = [*given, "*"][:6]
    if (month_days == "?") == (week_days == "?"):
        raise _refusal(
            "'?' can only be specified for Day-of-Month -OR- Day-of-Week."
            if month_days == "?"
            else "Support for specifying both a day-of-week AND a day-of-month parameter is not implemented."
        )
    return Cron(
        tuple(sorted(_values(_SECONDS, seconds))),
        tuple(sorted(_values(_MINUTES, minutes))),
        tuple(sorted(_values(_HOURS, hours))),
        _values(_MONTHS, months),
        _values(_YEARS, years),
        _month_day_rule(month_days),
        _week_day_rule(week_days),
    )


def _refusal(detail: str) -> Exception:
    """AWS's sentence, with a detail as Quartz words it."""
    return validation_error(
        f"Invalid schedule expression. Details: Invalid CRON expression: error at position 0, details: {detail}"
    )


def _values(field: _Field, text: str) -> frozenset[int]:
    """The values of a list of numbers, names, ranges and increments."""
    return frozenset(value for part in text.split(",") for value in _part_values(field, part))


def _part_values(field: _Field, text: str) -> range | tuple[int, ...]:
    """Of `*`, `7`, `MON`, `1-5`, and these with `/10` behind; `/10` alone is `*/10`, and `7/10` is `7-59/10`."""
    match = re.fullmatch(r"(?:\*|([0-9A-Z]+)(?:-([0-9A-Z]+))?)?(?:/([0-9]{1,4}))?", text)
    if match is None or not text:
        raise _refusal(f"Illegal characters for {field.label}: '{text}'")
    start, end, increment = match[1], match[2], int(match[3] or 1)
    if not 1 <= increment <= field.last:
        raise _refusal(f"Increment > {field.last} : {increment}" if increment else f"Increment of 0 in {field.label}")
    first = _number(field, start) if start else field.first
    last = _number(field, end) if end else first if start and not match[3] else field.last
    if first <= last:
        return range(first, last + 1, increment)
    if field is _YEARS:
        raise _refusal(f"Start year must be less than stop year: '{text}'")
    size = field.last - field.first + 1  # the range goes over the end: FRI-MON, 22-2
    return tuple((value - field.first) % size + field.first for value in range(first, last + size + 1, increment))


def _number(field: _Field, text: str) -> int:
    number = field.names.get(text, int(text) if text.isdecimal() and len(text) <= 4 else None)
    if number is None or not field.first <= number <= field.last:
        raise _refusal(f"Invalid {field.label} value: '{text}'")
    return number


def _month_day_rule(text: str) -> DayRule:
    """`?`, a list, `L` (the last day), `L-3`, `LW`, `15W` (the weekday nearest to the 15th in the same month)."""
    if text in ("?", "*"):
        return lambda _: True
    if match := re.fullmatch(r"L(?:-([0-9]{1,2}))?(W)?", text):
        before = int(match[1] or 0)
        if before > 30:
            raise _refusal("Offset from last day must be <= 30")
        is_weekday = match[2] is not None
        return lambda day: day == _nearest(day, _length(day) - before, is_weekday)
    if match := re.fullmatch(r"([0-9]{1,2})W", text):
        number = _number(_MONTH_DAYS, match[1])
        return lambda day: day == _nearest(day, number, True)
    if "L" in text or "W" in text:
        raise _refusal(f"'L' and 'W' cannot be in a list or range for Day-of-Month: '{text}'")
    allowed = _values(_MONTH_DAYS, text)
    return lambda day: day.day in allowed


def _length(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest(day: date, number: int, is_weekday: bool) -> date | None:
    """The day with a number in the month of `day`, or the weekday nearest to it without leaving the month."""
    if not 1 <= number <= _length(day):
        return None
    found = day.replace(day=number)
    if not is_weekday or found.weekday() < 5:
        return found
    if found.weekday() == 5:
        return found - timedelta(days=1) if number > 1 else found + timedelta(days=2)
    return found + timedelta(days=1) if number < _length(day) else found - timedelta(days=2)


def _week_day_rule(text: str) -> DayRule:
    """`?`, a list, `L` (Saturday), `6L` (the last Friday of the month), `MON#2` (the second Monday)."""
    if text in ("?", "*"):
        return lambda _: True
    if text == "L":
        text = "7"
    if match := re.fullmatch(r"([0-9A-Z]+)L", text):
        number = _number(_WEEK_DAYS, match[1])
        return lambda day: _week_day(day) == number and day.day + 7 > _length(day)
    if match := re.fullmatch(r"([0-9A-Z]+)#([0-9])", text):
        number, nth = _number(_WEEK_DAYS, match[1]), int(match[2])
        if not 1 <= nth <= 5:
            raise _refusal("A numeric value between 1 and 5 must follow the '#' option")
        return lambda day: _week_day(day) == number and (day.day - 1) // 7 + 1 == nth
    if "#" in text:
        raise _refusal(f"'#' cannot be in a list or range for Day-of-Week: '{text}'")
    allowed = _values(_WEEK_DAYS, text)
    return lambda day: _week_day(day) in allowed


def _week_day(day: date) -> int:
    """1 for Sunday to 7 for Saturday."""
    return day.isoweekday() % 7 + 1


def next_local(cron: Cron, after: datetime) -> datetime | None:
    """The first moment later than `after`, both on the clock of one place without regard to its offset; None when
    there is none up to the last year. A year without a run costs up to 366 looks at a day."""
    day = after.date()
    for year in sorted(year for year in cron.years if year >= day.year):
        current = max(day, date(year, 1, 1))
        while current.year == year:
            if current.month not in cron.months:
                current = (current.replace(day=1) + timedelta(days=31)).replace(day=1)
                continue
            if cron.is_on(current):
                for moment in _moments(cron, current):
                    if moment > after:
                        return moment
            current += timedelta(days=1)
    return None


def _moments(cron: Cron, day: date) -> Iterator[datetime]:
    for hour in cron.hours:
        for minute in cron.minutes:
            for second in cron.seconds:
                yield datetime(day.year, day.month, day.day, hour, minute, second)
