"""The metric that a tuning job searches the best value of, and what is better. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIGNIFICANT = 0.01  # AWS: less than 1 % is no improvement


@dataclass(frozen=True)
class Objective:
    """The last value of `metric` counts."""

    metric: str
    maximize: bool

    @property
    def type_name(self) -> str:
        """As AWS calls it."""
        return "Maximize" if self.maximize else "Minimize"

    def is_better(self, value: float, than: float) -> bool:
        """Whether `value` is better than another, however little."""
        return value > than if self.maximize else value < than

    def improves(self, value: float, best: float) -> bool:
        """Whether `value` is better than the best so far by 1 % of it or more."""
        gain = value - best if self.maximize else best - value
        return gain > 0 and gain >= SIGNIFICANT * abs(best)

    def reaches(self, value: float, target: float) -> bool:
        """Whether `value` is as good as the target."""
        return value == target or self.is_better(value, target)


def objective_of(given: Mapping[str, Any]) -> Objective:
    """HyperParameterTuningJobObjective or TuningObjective, which are one structure."""
    return Objective(given["MetricName"], given["Type"] == "Maximize")
