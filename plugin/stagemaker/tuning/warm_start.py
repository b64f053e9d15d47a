"""The rules of a warm start, and what the search learns from the parents. Pure.

AWS source: "Run a Warm Start Hyperparameter Tuning Job" in the developer guide. A warm start is not recursive: only the
training jobs of the parents themselves count, not those of the parents' parents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.core.numbers import finite_number
from stagemaker.core.store import Record
from stagemaker.jobs.statuses import ENDED
from stagemaker.tuning.counters import evaluated_value
from stagemaker.tuning.objective import objective_of
from stagemaker.tuning.plan import Definition, TuningPlan, definitions_of
from stagemaker.tuning.ranges import Categories, Range, ranges_of
from stagemaker.tuning.refusals import OBJECTIVE_NAME

MAX_CHANGES = 10
MAX_JOBS = 500  # of the parents and the new job together
# Of a report: AWS's sentence about a definition that differs in anything else.
_CHANGEABLE = (
    "AlgorithmSpecification", "InputDataConfig", "OutputDataConfig", "StaticHyperParameters", "RoleArn",
    "ResourceConfig", "StoppingCondition", "VpcConfig", "EnableManagedSpotTraining", "CheckpointConfig",
)  # fmt: skip
_OTHERWISE_COMPARED = ("DefinitionName", "TuningObjective", "HyperParameterRanges")
_RESOURCES = "HyperParameterTuningResourceConfig"  # another way to say ResourceConfig


@dataclass(frozen=True)
class Observation:
    """A configuration that a parent tried, as far as it lies within the new ranges, and its objective value."""

    tuned: Mapping[str, str]
    value: float


def refuse_parents(plan: TuningPlan, parents: Sequence[tuple[Record, int]]) -> None:
    """`parents` are the record of each and the number of its training jobs. ValidationException for a broken rule."""
    new = plan.definitions[0]
    for record, _ in parents:
        name = record["HyperParameterTuningJobName"]
        if record["HyperParameterTuningJobStatus"] not in ENDED:
            raise validation_error(
                f"The parent tuning job {name} must be in a terminal state (Completed, Stopped, or Failed)."
            )
        if len(definitions_of(record)) > 1:
            raise validation_error(f"The parent tuning job {name} has more than one training job definition.")
        _refuse_changes(new, record, name)
    total = plan.max_jobs + sum(jobs for _, jobs in parents)
    if total > MAX_JOBS:
        raise validation_error(
            f"The training jobs of the parent tuning jobs and of this one, [{total}] together, must not be more than "
            f"{MAX_JOBS}."
        )


def observations(definition: Definition, children: Sequence[Record]) -> list[Observation]:
    """Of the parents' training jobs that were evaluated. A value that was static there can be tunable here. What lies
    outside of the new ranges is left out."""
    found = []
    for child in children:
        value, tried = evaluated_value(child), child["HyperParameters"]
        tuned = {each.name: tried[each.name] for each in definition.ranges if each.value(tried[each.name]) is not None}
        if value is not None and len(tuned) == len(definition.ranges):
            found.append(Observation(tuned, value))
    return found


def _refuse_changes(new: Definition, parent: Record, name: str) -> None:
    config, given = parent["HyperParameterTuningJobConfig"], definitions_of(parent)[0]
    old_objective = objective_of(given.get("TuningObjective") or config["HyperParameterTuningJobObjective"])
    if old_objective != new.objective:
        raise validation_error(
            f"The objective of the tuning job must be that of its parent {name}: {old_objective.type_name} "
            f"{old_objective.metric}."
        )
    old_ranges = ranges_of(given.get("HyperParameterRanges") or config.get("ParameterRanges") or {})
    old, static = {each.name: each for each in old_ranges}, _static(given)
    new_static = {key: value for key, value in new.static.items() if key != OBJECTIVE_NAME}
    if old.keys() | static.keys() != {each.name for each in new.ranges} | new_static.keys():
        raise validation_error(
            "The set of tunable plus static HyperParameter names is not the same across current and parent tuning "
            "jobs. Please ensure this set is constant when warm starting. Note that previously static HyperParameters "
            "can be tuned in warm start jobs and vice versa."
        )
    for each in new.ranges:
        if each.name in old and old[each.name].type_name != each.type_name:
            raise validation_error(
                f"The hyperparameter {each.name} is {each.type_name} and was {old[each.name].type_name} in the parent "
                f"tuning job {name}: its type must not change."
            )
    changes = sum(_changes(value, old.get(key), static.get(key)) for key, value in new_static.items())
    if changes > MAX_CHANGES:
        raise validation_error(
            f"There are {changes} changes of static hyperparameters against the parent tuning job {name}, and at most "
            f"{MAX_CHANGES} are allowed."
        )
    _refuse_other_members(new.given, given)


def _static(given: Mapping[str, Any]) -> dict[str, str]:
    return {key: value for key, value in given.get("StaticHyperParameters", {}).items() if key != OBJECTIVE_NAME}


def _changes(value: str, was_tunable: Range | None, was_static: str | None) -> int:
    """AWS counts each value of a categorical hyperparameter: two for `red` that becomes `blue`."""
    if was_tunable is not None:
        return len(was_tunable.values) if isinstance(was_tunable, Categories) else 1
    if was_static is None or value == was_static:
        return 0
    return 1 if None not in (finite_number(value), finite_number(was_static)) else 2


def _refuse_other_members(new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    """A boolean that is not given is false."""
    for member in (new.keys() | old.keys()) - {*_CHANGEABLE, *_OTHERWISE_COMPARED, _RESOURCES}:
        if (new.get(member) or None) != (old.get(member) or None):
            changeable = ", ".join(f"{each[:1].lower()}{each[1:]}" for each in _CHANGEABLE)
            raise validation_error(
                f"Only the following fields in TrainingJobDefinition are allowed to change: [{changeable}]."
            )
