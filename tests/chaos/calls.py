"""Pure: what became of the calls of the steady load, and which failures a broken part excuses."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Why a call failed, where the answer has no code of AWS.
REFUSED = "no connection"
BROKEN_OFF = "connection broke off"
NO_ANSWER = "no answer in time"
WRONG_ANSWER = "answer to another call"
LOST_CONNECTIONS = frozenset({REFUSED, BROKEN_OFF})


@dataclass(frozen=True)
class Call:
    """One call of the load. Times are seconds by time.monotonic. `failure` is empty for an answered call. `worker` is
    the process that answered, and `position` says that it was the worker's nth call."""

    stream: str
    due_s: float
    ended_s: float
    failure: str = ""
    worker: str = ""
    position: int = 0

    @property
    def latency_s(self) -> float:
        """From the moment when it was due to its end, whether or not a thread was free for it."""
        return self.ended_s - self.due_s


@dataclass(frozen=True)
class Allowed:
    """Failures that are promised to be possible: of these kinds and streams, of calls that were due before `until_s`
    and ended after `since_s`. `why` is the sentence for the page."""

    why: str
    failures: frozenset[str]
    since_s: float
    until_s: float
    streams: frozenset[str] = frozenset({"endpoint"})

    def excuses(self, call: Call) -> bool:
        """Whether this failure is one of them."""
        return (
            call.stream in self.streams
            and call.failure in self.failures
            and call.due_s <= self.until_s
            and call.ended_s >= self.since_s
        )


@dataclass(frozen=True)
class Summary:
    """The account of some calls: sent = answered + the sum of `failures` + open. Latencies are those of answered calls,
    in milliseconds; None where nothing was answered."""

    sent: int
    answered: int
    failures: dict[str, int]
    open: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @property
    def adds_up(self) -> bool:
        """Whether every call that was sent has an outcome."""
        return self.open == 0 and self.sent == self.answered + sum(self.failures.values())


def summarize(calls: Sequence[Call], sent: int) -> Summary:
    """Of the calls that have ended, of `sent` ones."""
    latencies_ms = sorted(1000 * call.latency_s for call in calls if not call.failure)
    failures = Counter(call.failure for call in calls if call.failure)
    return Summary(
        sent=sent,
        answered=len(latencies_ms),
        failures=dict(sorted(failures.items())),
        open=sent - len(calls),
        p50_ms=percentile(latencies_ms, 50),
        p99_ms=percentile(latencies_ms, 99),
        max_ms=percentile(latencies_ms, 100),
    )


def percentile(ascending: Sequence[float], percent: float) -> float | None:
    """The nearest rank; None of nothing."""
    return ascending[max(0, math.ceil(len(ascending) * percent / 100) - 1)] if ascending else None


def unexcused(calls: Iterable[Call], allowed: Sequence[Allowed]) -> list[Call]:
    """The failed calls that no promise allows."""
    return [call for call in calls if call.failure and not any(one.excuses(call) for one in allowed)]


def told_of(calls: Iterable[Call], run_began_s: float) -> str:
    """Failed calls in words: how many of each stream and kind, and in which seconds of the run they ended."""
    moments_s: dict[tuple[str, str], list[float]] = defaultdict(list)
    for call in calls:
        moments_s[call.stream, call.failure].append(call.ended_s - run_began_s)
    return "; ".join(
        f"{len(ended_s)} {stream}: {failure} ({min(ended_s):.1f} to {max(ended_s):.1f} s)"
        for (stream, failure), ended_s in sorted(moments_s.items())
    )


def executed_without_answer(calls: Iterable[Call]) -> int:
    """How many calls some worker has executed whose answers nobody got: the gaps in the positions of each worker.

    Each of them must be a failed call. More gaps than failures mean that a call was executed twice."""
    positions: dict[str, set[int]] = defaultdict(set)
    for call in calls:
        if not call.failure and call.worker:
            positions[call.worker].add(call.position)
    return sum(max(seen) - len(seen) for seen in positions.values())


def outage_s(calls: Iterable[Call]) -> float:
    """Seconds from the first failed call to the last one, by the moments when they were due; 0 without failures."""
    due = [call.due_s for call in calls if call.failure]
    return max(due) - min(due) if due else 0.0
