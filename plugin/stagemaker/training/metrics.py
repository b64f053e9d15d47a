"""The metrics that a training job reads from its containers' output. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]  # unlike re it can be told to give up, and lets other threads run

from stagemaker.core.errors import validation_error
from stagemaker.core.numbers import finite_number
from stagemaker.core.patterns import within

MATCHED_CHARS, MATCH_S = 4096, 0.1  # of a line, against a caller's regex that backtracks for ever
# All of these are ours.
SLOW_S = 0.0001  # what a match takes that counts: ordinary ones take a hundredth
WINDOW_S, WINDOW_LIMIT_S = 60, 5.0


@dataclass(frozen=True)
class Metric:
    """The first group of `regex` (of the package of that name) in a line of output is a value of the metric `name`."""

    name: str
    regex: Any


def metric(definition: Mapping[str, str]) -> Metric:
    """One of MetricDefinitions. Raises ValidationException for a Regex that cannot give a value."""
    name, pattern = definition["Name"], definition["Regex"]
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise validation_error(f"The Regex of metric '{name}' is not a regular expression: {error}.") from error
    if not compiled.groups:
        raise validation_error(f"The Regex of metric '{name}' needs a group in parentheses: its first is the value.")
    return Metric(name, compiled)


def measured(metric: Metric, line: str) -> float | None:
    """The value of the metric that the line tells, if any; CloudWatch takes neither NaN nor infinity. Raises TooSlow
    after MATCH_S."""
    found = within(metric.regex.search, line[:MATCHED_CHARS], MATCH_S)
    text = found.group(1) if found else None  # None too where the group took no part in the match
    return None if text is None else finite_number(text.strip())


class SlowTime:
    """What the slow matches of one metric have taken. Not thread-safe."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float]] = deque()  # each with what began in it
        self._sum_s = 0.0

    def add(self, now_s: float, taken_s: float) -> None:
        """Count a match, if it was slow."""
        if taken_s < SLOW_S:
            return
        self._sum_s += taken_s
        if self._seconds and self._seconds[-1][0] == int(now_s):
            _, before_s = self._seconds.pop()
            taken_s += before_s
        self._seconds.append((int(now_s), taken_s))

    @property
    def is_much(self) -> bool:
        """Whether they took as long as one line may, as far as is remembered."""
        return self._sum_s >= MATCH_S

    def is_spent(self, now_s: float) -> bool:
        """Whether they took WINDOW_LIMIT_S within the last WINDOW_S."""
        while self._seconds and self._seconds[0][0] <= now_s - WINDOW_S:
            self._sum_s -= self._seconds.popleft()[1]
        return bool(self._seconds) and self._sum_s >= WINDOW_LIMIT_S
