"""TrainingJobEarlyStoppingType Auto: which training job stops before its end. Pure.

AWS source: "Stop Training Jobs Early" in the developer guide. An epoch is one value of the objective metric.
"""

import statistics
from collections.abc import Sequence

from stagemaker.tuning.objective import Objective

LEAST_JOBS = 3  # (ours) AWS documents no least number of earlier training jobs


def median_of_averages(earlier: Sequence[Sequence[float]], epoch: int) -> float | None:
    """The median of the running averages of all earlier training jobs up to `epoch`, from 1; each in `earlier` has the
    values of one. A job that ended before the epoch counts with all that it has. None when there are too few jobs."""
    averages = [statistics.fmean(values[:epoch]) for values in earlier if values]
    return statistics.median(averages) if len(averages) >= LEAST_JOBS else None


def stops(values: Sequence[float], earlier: Sequence[Sequence[float]], goal: Objective) -> bool:
    """Whether a training job stops now, whose current value is the last of `values`: it is worse than the median."""
    median = median_of_averages(earlier, len(values))
    return median is not None and goal.is_better(median, values[-1])
