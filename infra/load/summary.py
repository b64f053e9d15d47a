"""The figures of a load: counts, latencies and instances over time, as JSON. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from infra.load.curve import Curve
from infra.load.generator import NOT_SENT, Result
from infra.load.observe import Activity, Observation, Seen
from infra.load.requests import ANSWERED

PERCENTS = (50, 95, 99)
_MAX_BUCKETS = 120
_BUCKETS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


@dataclass(frozen=True)
class Run:
    """One load, from its beginning to `ended_s`. `called` says what was called, `scaling` how the endpoint was scaled
    for it."""

    title: str
    called: str
    scaling: str
    curve: Curve
    began: datetime
    ended_s: float
    results: Sequence[Result]
    seen: Seen


def figures_of(run: Run) -> dict[str, Any]:
    """All figures of a run. A request belongs to the bucket of time in which it was due. Latencies are those of the
    answered requests: from the moment at which a request was due, and beside it from the one at which it was sent."""
    results = sorted(run.results, key=lambda result: result.due_s)
    answered = [result for result in results if result.outcome == ANSWERED]
    return {
        "title": run.title,
        "called": run.called,
        "curve": run.curve.text,
        "seconds": round(run.ended_s, 3),
        "began": run.began.isoformat(timespec="seconds"),
        "scaling": run.scaling,
        "compressed": run.seen.compressed,
        **_counts(results),
        "latency_ms": _latencies_ms([result.latency_s for result in answered]),
        "latency_from_sent_ms": _latencies_ms([result.done_s - (result.sent_s or 0) for result in answered]),
        "instance_seconds": round(instance_seconds(run.seen.observations, run.ended_s), 1),
        "buckets": _buckets(results, run.ended_s),
        "observations": [_observation(one) for one in run.seen.observations],
        "activities": [_activity(one, run.began) for one in run.seen.activities],
        "looks_that_failed": run.seen.missed,
        "why_looks_failed": run.seen.reason,
    }


def percentile(values: Sequence[float], percent: int) -> float:
    """The least of the ordered values that so many percent of them do not exceed (nearest rank). Raises IndexError for
    no values."""
    return values[max(0, math.ceil(len(values) * percent / 100) - 1)]


def instance_seconds(observations: Sequence[Observation], ended_s: float) -> float:
    """For how long instances served: each observation counts until the next one."""
    ends = [*(one.at_s for one in observations[1:]), ended_s]
    pairs = zip(observations, ends, strict=False)
    return sum(one.current * max(0.0, min(end, ended_s) - one.at_s) for one, end in pairs)


def _counts(results: Sequence[Result]) -> dict[str, Any]:
    counts = Counter(result.outcome for result in results)
    answered, not_sent = counts.pop(ANSWERED, 0), counts.pop(NOT_SENT, 0)
    return {"due": len(results), "answered": answered, "failed": dict(sorted(counts.items())), "not_sent": not_sent}


def _latencies_ms(latencies_s: Sequence[float]) -> dict[str, float]:
    ordered = sorted(latencies_s)
    if not ordered:
        return {}
    found = {f"p{percent}": percentile(ordered, percent) for percent in PERCENTS}
    return {name: round(value * 1000, 1) for name, value in {**found, "max": ordered[-1]}.items()}


def _buckets(results: Sequence[Result], ended_s: float) -> list[dict[str, Any]]:
    """From second 0 to the end, of equal length but for the last: at most _MAX_BUCKETS of a length that a reader can
    name."""
    length_s = next((each for each in _BUCKETS_S if ended_s / each <= _MAX_BUCKETS), _BUCKETS_S[-1])
    parts: list[list[Result]] = [[] for _ in range(max(1, math.ceil(ended_s / length_s)))]
    for result in results:
        parts[min(int(result.due_s // length_s), len(parts) - 1)].append(result)
    starts = [number * length_s for number in range(len(parts))]
    ends = [*starts[1:], ended_s or length_s]
    return [_bucket(start, end - start, part) for start, end, part in zip(starts, ends, parts, strict=True)]


def _bucket(second: int, seconds: float, results: Sequence[Result]) -> dict[str, Any]:
    latencies_ms = _latencies_ms([result.latency_s for result in results if result.outcome == ANSWERED])
    return {"second": second, "seconds": round(seconds, 3), **_counts(results), "latency_ms": latencies_ms}


def _observation(one: Observation) -> dict[str, Any]:
    return {
        "second": round(one.at_s, 1),
        "status": one.status,
        "current": one.current,
        "desired": one.desired,
        "alarms": dict(one.alarms),
    }


def _activity(one: Activity, began: datetime) -> dict[str, Any]:
    return {
        "second": round((one.began - began).total_seconds(), 1),
        "took_s": max(0.0, round((one.ended - one.began).total_seconds(), 1)) if one.ended else None,
        "status": one.status,
        "description": one.description,
        "cause": one.cause,
        "message": one.message,
        "not_scaled": one.not_scaled,
    }
