"""What a tuning job cannot be, rule by rule. Pure: each function raises ApiError or does nothing.

AWS's sentences stand where a public report quotes them; the others are ours. Rules about parents: warm_start.py.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.tuning.hyperband import LARGEST_MAX_RESOURCE, MAX_RESOURCE_NAMES
from stagemaker.tuning.ranges import Categories, combinations

if TYPE_CHECKING:
    from stagemaker.tuning.plan import Definition

# AWS's default quotas.
MAX_JOBS = 750
MAX_PARALLEL = 10
MAX_TUNING_JOBS = 100  # in progress at a time
MAX_RANGES = 30
MAX_METRICS = 20
MAX_HYPERPARAMETERS = 100  # of a training job
MAX_ENVIRONMENT = 48  # of all definitions together
OBJECTIVE_NAME = "_tuning_objective_metric"  # AWS adds it to the hyperparameters of every training job


def limit_exceeded(what: str, limit: int, current: int, more: int) -> ApiError:
    """AWS's answer to a request that needs more than a quota."""
    return ApiError(
        "ResourceLimitExceeded",
        f"The account-level service limit '{what}' is {limit}, with current utilization of {current} and a request "
        f"delta of {more}. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas "
        f"is not available, contact AWS support to request an increase for this quota.",
    )


def refuse_definitions(request: Mapping[str, Any]) -> None:
    """One definition, or a list of them with names and with objectives of one type."""
    if ("TrainingJobDefinition" in request) == ("TrainingJobDefinitions" in request):
        raise validation_error("Provide either TrainingJobDefinition or TrainingJobDefinitions.")
    config = request["HyperParameterTuningJobConfig"]
    given = request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]]
    names = [each.get("DefinitionName") for each in given]
    if len(given) > 1 and (None in names or len(set(names)) < len(names)):
        raise validation_error("Each of several TrainingJobDefinitions needs a DefinitionName of its own.")
    if len(given) > 1 and ("ParameterRanges" in config or "HyperParameterTuningJobObjective" in config):
        raise validation_error(
            "With several TrainingJobDefinitions, HyperParameterRanges and TuningObjective belong to each definition, "
            "not to HyperParameterTuningJobConfig."
        )
    objectives = [each.get("TuningObjective") or config.get("HyperParameterTuningJobObjective") for each in given]
    if None in objectives:
        raise validation_error("A hyperparameter tuning job needs an objective: its Type and MetricName.")
    if len({objective["Type"] for objective in objectives}) > 1:
        raise validation_error("The TuningObjective of every definition must have the same Type.")
    if len([name for each in given for name in each.get("Environment", {})]) > MAX_ENVIRONMENT:
        raise validation_error(f"The definitions have more than {MAX_ENVIRONMENT} environment variables together.")


def refuse_ranges(definition: "Definition", *, autotuned: bool, automatic: bool) -> None:
    """The hyperparameters of a definition, and its metrics."""
    if automatic and not autotuned:
        raise validation_error("AutoParameters need Autotune with the Mode Enabled.")
    names = [each.name for each in definition.ranges]
    if not names:
        raise validation_error("At least one hyperparameter range is required.")
    if len(names) > MAX_RANGES:
        what = "Number of hyperparameters that can be searched"
        raise limit_exceeded(what, MAX_RANGES, 0, len(names))
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise validation_error(f"The hyperparameter ranges name a hyperparameter twice: {', '.join(twice)}.")
    if both := sorted(set(names) & definition.static.keys()):
        raise validation_error(f"A hyperparameter cannot be static and tunable at once: {', '.join(both)}.")
    if OBJECTIVE_NAME in names:
        raise validation_error(f"The name {OBJECTIVE_NAME} is reserved.")
    if len(names) + len(definition.static.keys() - {OBJECTIVE_NAME}) >= MAX_HYPERPARAMETERS:
        raise validation_error(
            f"A training job has at most {MAX_HYPERPARAMETERS} hyperparameters, one of which is {OBJECTIVE_NAME}."
        )
    if definition.objective.metric not in definition.metrics:
        raise validation_error(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
            "definitions."
        )
    if len(definition.metrics) > MAX_METRICS:
        what = "Number of metrics defined per hyperparameter tuning job"
        raise limit_exceeded(what, MAX_METRICS, 0, len(definition.metrics))


def refuse_resources(given: Mapping[str, Any]) -> None:
    """A definition says once on which instances its training jobs run."""
    if ("ResourceConfig" in given) == ("HyperParameterTuningResourceConfig" in given):
        raise validation_error("Provide either ResourceConfig or HyperParameterTuningResourceConfig.")
    if "ResourceConfig" in given:
        return
    config = given["HyperParameterTuningResourceConfig"]
    alone = [key for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if key in config]
    if "InstanceConfigs" in config and alone:
        raise validation_error(f"With InstanceConfigs, do not provide {', '.join(alone)}.")
    if "AllocationStrategy" in config and "InstanceConfigs" not in config:
        raise validation_error("AllocationStrategy needs InstanceConfigs.")


def refuse_strategy(request: Mapping[str, Any], definitions: Sequence["Definition"], *, stops_early: bool) -> None:
    """What does not go together with the strategy, or with several definitions."""
    config = request["HyperParameterTuningJobConfig"]
    strategy = config["Strategy"]
    if strategy == "Hyperband" and stops_early:
        raise validation_error("TrainingJobEarlyStoppingType must be Off to use the Hyperband strategy.")
    if strategy != "Hyperband" and "HyperbandStrategyConfig" in config.get("StrategyConfig", {}):
        raise validation_error("HyperbandStrategyConfig is supported by the Hyperband strategy only.")
    if strategy == "Grid":
        continuing = [r.name for each in definitions for r in each.ranges if not isinstance(r, Categories)]
        if continuing:
            raise validation_error(
                f"The Grid strategy supports categorical hyperparameters only, not {', '.join(continuing)}."
            )
    if len(definitions) > 1 and stops_early:
        raise validation_error("Early stopping is available only with one training job definition.")
    if len(definitions) > 1 and "WarmStartConfig" in request:
        raise validation_error("Warm start is available only with one training job definition.")


def refuse_limits(
    limits: Mapping[str, Any], strategy: str, definitions: Sequence["Definition"], max_jobs: int | None
) -> None:
    """Numbers of training jobs. `max_jobs` is None when the request names none."""
    parallel = limits["MaxParallelTrainingJobs"]
    if parallel > MAX_PARALLEL:
        what = "Maximum number of parallel training jobs per hyperparameter tuning job"
        raise limit_exceeded(what, MAX_PARALLEL, 0, parallel)
    if max_jobs is None:
        if "MaxRuntimeInSeconds" not in limits:
            raise validation_error("ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds.")
        return
    total = total_combinations(definitions)
    if strategy == "Grid" and max_jobs != total:
        raise validation_error(
            f"With the Grid strategy MaxNumberOfTrainingJobs, [{max_jobs}], must be left out or equal to the number of "
            f"hyperparameter combinations, [{total}]."
        )
    if max_jobs > MAX_JOBS:
        what = "Maximum number of training jobs per hyperparameter tuning job"
        raise limit_exceeded(what, MAX_JOBS, 0, max_jobs)
    if total is not None and total < max_jobs:
        raise validation_error(
            f"You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
            f"combinations for the provided ranges [{float(total)}] must be equal or greater than the value of "
            f"MaxNumberOfJobs, [{max_jobs}]. Provide additional ranges."
        )


def total_combinations(definitions: Sequence["Definition"]) -> int | None:
    """How many different configurations all definitions have together; None for more than can be counted."""
    sizes = [combinations(each.ranges) for each in definitions]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def refuse_hyperband(min_resource: int, max_resource: int | None) -> int:
    """MaxResource, when both are what Hyperband takes."""
    if max_resource is None:
        raise validation_error(
            f"The Hyperband strategy needs MaxResource, or a static hyperparameter that says it: "
            f"{', '.join(MAX_RESOURCE_NAMES)}."
        )
    if max_resource > LARGEST_MAX_RESOURCE:
        raise validation_error(f"MaxResource, [{max_resource}], must not be greater than {LARGEST_MAX_RESOURCE}.")
    if min_resource > max_resource:
        raise validation_error(
            f"MinResource, [{min_resource}], must not be greater than MaxResource, [{max_resource}]."
        )
    return max_resource
