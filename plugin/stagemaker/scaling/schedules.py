"""When scheduled actions run: at(), rate() and cron() with a time zone. Pure: every time is an argument, in seconds
since the epoch.

AWS source: PutScheduledAction in the API reference of Application Auto Scaling.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.scaling.cron import Cron, next_local, parse

UNITS_S = {"minute": 60, "hour": 3600, "day": 86400}
SYNTAX = (
    "Invalid schedule expression. Details: Schedule expressions must have the following syntax: "
    "rate(<number>\\s?(minutes?|hours?|days?)), cron(<cron_expression>) or at(yyyy-MM-dd'T'HH:mm:ss)."
)


@dataclass(frozen=True)
class Once:
    """`at(...)`: one run."""

    moment_s: float


@dataclass(frozen=True)
class Rate:
    """`rate(...)`: a run each period."""

    period_s: int


@dataclass(frozen=True)
class Recurring:
    """`cron(...)`, on the clocks of a time zone."""

    cron: Cron
    timezone: ZoneInfo


Schedule = Once | Rate | Recurring


def parse_schedule(expression: str, timezone: str = "UTC") -> Schedule:
    """Of Schedule and Timezone of PutScheduledAction; the time zone counts for at() and cron(). Raises
    ValidationException."""
    zone = _zone(timezone)
    if match := re.fullmatch(r"at\((.*)\)", expression):
        return Once(_moment_s(match[1], zone))
    if match := re.fullmatch(r"rate\(([0-9]{1,9})\s?(minute|hour|day)s?\)", expression):
        period_s = int(match[1]) * UNITS_S[match[2]]
        if period_s == 0:
            raise _too_often(expression)
        return Rate(period_s)
    if match := re.fullmatch(r"cron\((.*)\)", expression):
        cron = parse(match[1])
        if len(cron.seconds) > 1:
            raise _too_often(expression)
        return Recurring(cron, zone)
    raise validation_error(SYNTAX)


def _too_often(expression: str) -> ApiError:
    return validation_error(f"Invalid schedule frequency. Runs of {expression} are less than 60 seconds apart.")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise validation_error(f"Invalid timezone: {name}") from None


def _moment_s(text: str, zone: ZoneInfo) -> float:
    match = re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?", text)
    try:
        local = datetime.fromisoformat(text) if match else None
    except ValueError:
        local = None
    if local is None:
        raise validation_error(f"Invalid schedule at DateTime expression: '{text}'")
    return local.replace(tzinfo=zone).timestamp()


def next_time(
    schedule: Schedule,
    after_s: float,
    *,
    created_s: float = 0.0,
    start_s: float | None = None,
    end_s: float | None = None,
) -> float | None:
    """The first run later than `after_s`; None when there is no more. A recurring schedule runs at StartTime itself,
    and not before it; nothing runs after EndTime. A rate counts from StartTime, or else from its creation."""
    if isinstance(schedule, Once):
        is_ahead = schedule.moment_s > after_s and (start_s is None or schedule.moment_s >= start_s)
        found = schedule.moment_s if is_ahead else None
    elif start_s is not None and start_s > after_s:
        found = start_s
    elif isinstance(schedule, Rate):
        origin_s = created_s if start_s is None else start_s
        periods = max(math.floor((after_s - origin_s) / schedule.period_s) + 1, 1)
        found = origin_s + periods * schedule.period_s
    else:
        found = _next_run(schedule, after_s)
    return None if found is None or (end_s is not None and found > end_s) else found


def _next_run(schedule: Recurring, after_s: float) -> float | None:
    """A time of day that daylight saving skips does not run on that day; one that comes twice runs the first time
    (ours: AWS says both of EventBridge Scheduler, and nothing here)."""
    zone = schedule.timezone
    local = next_local(schedule.cron, datetime.fromtimestamp(after_s, zone).replace(tzinfo=None))
    while local is not None:
        moment_s = local.replace(tzinfo=zone).timestamp()
        is_real = datetime.fromtimestamp(moment_s, zone).replace(tzinfo=None) == local
        if is_real and moment_s > after_s:
            return moment_s
        local = next_local(schedule.cron, local)
    return None
