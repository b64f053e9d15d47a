"""The rate of a load over time, and when each of its requests is due.

The requests of an open loop are due by the clock alone: one that is answered late delays none of those after it."""

import csv
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

EXAMPLES = "constant:10, step:2,10@60,2@180, ramp:0,20@300, sine:2,10@60 or file:rates.csv"
MAX_REQUESTS = 1_000_000
MAX_FILE_BYTES = 1 << 20
MAX_SECONDS = 7 * 86_400.0
_DEFAULT_S = 60.0
_SINE_POINTS = 48  # of a period: the lines between them miss the sine by 0.2 % of its amplitude


@dataclass(frozen=True)
class Curve:
    """Requests per second over `seconds`. `points` are (second, rate) in order; the rate is linear between two of them,
    and stays after the last. A jump is two points at one second. With `period_s` the points repeat."""

    text: str
    points: tuple[tuple[float, float], ...]
    seconds: float
    period_s: float | None = None

    @property
    def requests(self) -> float:
        """How many are due in all."""
        return sum(line.requests for line in self.lines())

    def lasting(self, seconds: float) -> "Curve":
        """The same curve for another time. Raises ValueError for a time that is none."""
        return replace(self, seconds=checked(seconds))

    def lines(self) -> "Iterator[Line]":
        """The straight lines that the curve consists of, from second 0 to its end."""
        begun, period = 0.0, self.period_s or math.inf
        while begun < self.seconds:
            after = [*self.points[1:], (period, self.points[-1][1])]
            for (start, first), (end, last) in zip(self.points, after, strict=True):
                line = Line(begun + start, begun + end, first, last)
                if line.start_s < self.seconds and line.end_s > line.start_s:
                    yield line.until(self.seconds)
            begun += period


@dataclass(frozen=True)
class Line:
    """A rate that changes linearly. `end_s` is infinite only where the rate does not change."""

    start_s: float
    end_s: float
    first: float
    last: float

    @property
    def requests(self) -> float:
        """How many are due along it: the area below it."""
        return (self.first + self.last) / 2 * (self.end_s - self.start_s)

    def until(self, end_s: float) -> "Line":
        """The part before `end_s`."""
        if end_s >= self.end_s:
            return self
        return Line(self.start_s, end_s, self.first, self.first + self._slope * (end_s - self.start_s))

    def second_of(self, request: float) -> float:
        """When this many requests have been due since its start: the root of first * t + slope * t * t / 2 = request,
        in the form that also holds for a slope of 0."""
        root = math.sqrt(max(0.0, self.first**2 + 2 * self._slope * request))
        return self.start_s + (2 * request / (self.first + root) if request else 0.0)

    @property
    def _slope(self) -> float:
        return (self.last - self.first) / (self.end_s - self.start_s) if self.last != self.first else 0.0


def checked(seconds: float) -> float:
    """The length of a load. Raises ValueError for one that is none."""
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"A load takes more than 0 s and at most {MAX_SECONDS:,.0f} s, not {seconds:g}.")
    return seconds


def parse(text: str) -> Curve:
    """The curve that a text describes; rates are in requests per second, times in seconds.

    constant:RATE        one rate, for 60 s
    step:RATE,RATE@T,... the first rate, from second T the next; ends 60 s after the last step
    ramp:RATE,RATE@T,... from the first rate in a straight line to the next at second T; ends 60 s after the last
    sine:LOW,HIGH@PERIOD from LOW to HIGH and back in each period; two periods
    file:PATH            lines `second,rate`, each rate from its second on; the last one as long as the one before it

    Raises ValueError with a sentence for what is none of these, and OSError for a file that cannot be read."""
    kind, _, rest = text.partition(":")
    if kind == "file":
        return _from_file(text, Path(rest))
    if kind not in ("constant", "step", "ramp", "sine"):
        raise ValueError(f"The curve {text!r} is none: write {EXAMPLES}.")
    first, *others = rest.split(",")
    points = [(0.0, _rate(first, text)), *(_point(other, text) for other in others)]
    _check_order(points, text)
    if (kind == "constant" and len(points) > 1) or (kind == "sine" and len(points) != 2):
        raise ValueError(f"The curve {text!r} has too many rates or too few: write {EXAMPLES}.")
    if kind == "sine":
        if points[1][0] < 1:
            raise ValueError(f"A period takes at least 1 s: {text}.")
        return _sine(text, points[0][1], points[1][1], period_s=points[1][0])
    return Curve(text, tuple(_with_jumps(points) if kind == "step" else points), points[-1][0] + _DEFAULT_S)


def constant(rate: float) -> Curve:
    """One rate for 60 s. Raises ValueError for a rate that is none."""
    return parse(f"constant:{rate:g}")


def due_times(curve: Curve, seed: int | None = None) -> list[float]:
    """The second at which each request is due, in order: evenly along the curve, or with a seed at random, as requests
    of many independent users come (a Poisson process). Raises ValueError for more than MAX_REQUESTS."""
    if curve.requests > MAX_REQUESTS:
        raise ValueError(f"{curve.requests:,.0f} requests are too many for one load: at most {MAX_REQUESTS:,}.")
    return list(_due_times(curve, None if seed is None else random.Random(seed)))  # noqa: S311 - no secret


def _due_times(curve: Curve, dice: random.Random | None) -> Iterator[float]:
    """Request number n is due when the area below the curve is n: n goes up by one, or by an exponential variate."""
    wanted, passed = dice.expovariate(1) if dice else 0.5, 0.0
    for line in curve.lines():
        while wanted < passed + line.requests:
            yield line.second_of(wanted - passed)
            wanted += dice.expovariate(1) if dice else 1.0
        passed += line.requests


def _from_file(text: str, path: Path) -> Curve:
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{path} has more than {MAX_FILE_BYTES:,} bytes.")
    points = []
    for number, row in enumerate(csv.reader(path.read_text().splitlines()), 1):
        if not row or (number == 1 and row == ["second", "rate"]):
            continue
        place = f"line {number} of {path}"
        if len(row) != 2:
            raise ValueError(f"It must be `second,rate`: {place}.")
        points.append((_number(row[0], place), _rate(row[1], place)))
    if not points or points[0][0] != 0:
        raise ValueError(f"{path} must begin at second 0.")
    _check_order(points, str(path))
    last = points[-1][0] - points[-2][0] if len(points) > 1 else _DEFAULT_S
    return Curve(text, tuple(_with_jumps(points)), points[-1][0] + last)


def _sine(text: str, low: float, high: float, period_s: float) -> Curve:
    points = []
    for number in range(_SINE_POINTS + 1):
        share = (1 - math.cos(2 * math.pi * number / _SINE_POINTS)) / 2
        points.append((period_s * number / _SINE_POINTS, low + (high - low) * share))
    return Curve(text, tuple(points), 2 * period_s, period_s)


def _with_jumps(points: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Each rate holds until the next point."""
    yield points[0]
    for (_, before), (second, rate) in pairwise(points):
        yield (second, before)
        yield (second, rate)


def _check_order(points: list[tuple[float, float]], place: str) -> None:
    for (before, _), (second, _) in pairwise(points):
        if second <= before:
            raise ValueError(f"Second {second:g} must be after second {before:g}: {place}.")


def _point(text: str, place: str) -> tuple[float, float]:
    rate, at, second = text.partition("@")
    if not at:
        raise ValueError(f"{text!r} has no time, such as {text}@60: {place}.")
    return _number(second, place), _rate(rate, place)


def _rate(text: str, place: str) -> float:
    rate = _number(text, place)
    if rate < 0:
        raise ValueError(f"A rate is not below 0: {place}.")
    return rate


def _number(text: str, place: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no number: {place}.")
    return number
