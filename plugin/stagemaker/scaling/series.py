"""What the metrics of policies and alarms were, period by period, so that only what is new is asked of CloudWatch."""

from collections.abc import Callable
from dataclasses import dataclass

from stagemaker.core.refs import Scope
from stagemaker.scaling.cloudwatch import CloudWatch
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.metrics import Metric

LAG_S = 2.0  # (ours) a period is looked at so long after its end: our own data leave once a second
LATE_PERIODS, LATE_S = (
    2,
    10,
)  # (ours) so many earlier periods, or seconds of them, are asked for again: data may be late


@dataclass(frozen=True)
class _Seen:
    end_s: int
    values: tuple[float | None, ...]


class Series:
    """The last periods of any metric. For one thread."""

    def __init__(self, cloudwatch: CloudWatch, clock: Callable[[], float], compression: Compression) -> None:
        self._cloudwatch, self._clock, self._compression = cloudwatch, clock, compression
        self._seen: dict[tuple[Scope, Metric, int, int], _Seen] = {}
        self._used: set[tuple[Scope, Metric, int, int]] = set()

    def last(self, scope: Scope, metric: Metric, period_s: int, count: int) -> tuple[tuple[float | None, ...], int]:
        """The last `count` whole periods of `period_s` AWS seconds, the oldest first, and when the newest has ended.
        Raises what CloudWatch's client raises."""
        real_s = self._compression.real_s(period_s)
        end_s = int((self._clock() - LAG_S) // real_s) * real_s
        key = (scope, metric, period_s, count)
        self._used.add(key)
        seen = self._seen.get(key)
        if seen is not None and seen.end_s >= end_s:
            return seen.values, seen.end_s
        known = () if seen is None else seen.values
        late = max(LATE_PERIODS, LATE_S // real_s)
        new = count if seen is None else min(count, (end_s - seen.end_s) // real_s + late)
        values = self._cloudwatch.points(scope, metric.query(real_s), end_s - new * real_s, new)
        kept = known[-(count - new + late) : -late] if new < count else ()
        found = _Seen(end_s, (*kept, *values))
        self._seen[key] = found
        return found.values, found.end_s

    def forget_unused(self) -> None:
        """Drop the series that `last` was not asked for since the last call of this."""
        self._seen = {key: seen for key, seen in self._seen.items() if key in self._used}
        self._used = set()
