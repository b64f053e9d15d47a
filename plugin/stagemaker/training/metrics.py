"""The metrics that a training job reads from its containers' output. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]  # unlike re it can be told to give up, and lets other threads run

from stagemaker.core.errors import validation_error
from stagemaker.core.numbers import finite_number
from stagemaker.core.patterns import TooSlow, within

MATCHED_CHARS, MATCH_S = 4096, 0.1  # of a line, against a caller's regex that backtracks for ever


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


def measured(metrics: Sequence[Metric], line: str) -> Iterator[tuple[str, float]]:
    """Name and value of each metric that the line tells; CloudWatch takes neither NaN nor infinity."""
    for each in metrics:
        try:
            found = within(each.regex.search, line[:MATCHED_CHARS], MATCH_S)
        except TooSlow:
            continue
        text = found.group(1) if found else None  # None too where the group took no part in the match
        if text is not None and (value := finite_number(text.strip())) is not None:
            yield each.name, value
