"""The strategy Hyperband: how many training jobs begin with how many resources, and which of them stop. Pure.

Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018), Table 1,
with eta = 3. A resource is an epoch: one value of the objective metric. A training job of SageMaker cannot be paused:
each of them runs on from rung to rung until its value is not among the best third of its bracket's at that rung, as in
the stopping variant of ASHA (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.core.numbers import whole_number
from stagemaker.tuning.objective import Objective

ETA = 3
LARGEST_MAX_RESOURCE = 20_000  # AWS's
DEFAULT_MIN_RESOURCE = 1  # (ours)
MAX_RESOURCE_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")  # AWS reads it from these


@dataclass(frozen=True)
class Bracket:
    """`size` training jobs; after each number of epochs in `rungs` the best third go on."""

    size: int
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class Hyperband:
    """`max_resource`: no training job runs for more epochs."""

    min_resource: int
    max_resource: int

    @property
    def brackets(self) -> tuple[Bracket, ...]:
        """The one that stops most comes first. Their last rung, max_resource, stops nobody and is left out."""
        ratio, steps = self.max_resource // self.min_resource, 0
        while ETA ** (steps + 1) <= ratio:
            steps += 1
        found = []
        for step in range(steps, -1, -1):
            size = (steps + 1) // (step + 1) * ETA**step
            rungs = tuple(self.max_resource // ETA**left for left in range(step, 0, -1))
            found.append(Bracket(size, rungs))
        return tuple(found)

    def bracket_of(self, number: int) -> int:
        """The index of the bracket that the training job `number`, from 0, belongs to. After the last bracket the first
        follows again."""
        sizes = [bracket.size for bracket in self.brackets]
        number %= sum(sizes)
        for index, size in enumerate(sizes):
            if number < size:
                return index
            number -= size
        raise AssertionError

    def stops(self, bracket: int, values: Sequence[float], others: Sequence[Sequence[float]], goal: Objective) -> bool:
        """Whether a training job whose latest value is the last of `values` stops now. `others` are the values of the
        bracket's other training jobs."""
        epoch = len(values)
        if epoch > self.max_resource:
            return True
        if epoch not in self.brackets[bracket].rungs:
            return False
        at_rung = [other[epoch - 1] for other in others if len(other) >= epoch]
        better = sum(goal.is_better(other, values[-1]) for other in at_rung)
        return len(at_rung) + 1 >= ETA and better >= (len(at_rung) + 1) // ETA


def inferred_max_resource(static: Mapping[str, Any]) -> int | None:
    """What a static hyperparameter with one of AWS's names says; None when none does."""
    found = (whole_number(static[name].strip('"')) for name in MAX_RESOURCE_NAMES if name in static)
    return next((epochs for epochs in found if epochs), None)
