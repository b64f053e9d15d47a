"""CreateHyperParameterTuningJob's request -> what to search, how, and when to end. Pure.

AWS source: "Perform Automatic Model Tuning with SageMaker" in the developer guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.refs import Ref
from stagemaker.tuning.completion import Criteria, criteria_of
from stagemaker.tuning.hyperband import DEFAULT_MIN_RESOURCE, Hyperband, inferred_max_resource
from stagemaker.tuning.objective import Objective, objective_of
from stagemaker.tuning.ranges import Range, ranges_of
from stagemaker.tuning.refusals import (
    MAX_JOBS,
    refuse_definitions,
    refuse_hyperband,
    refuse_limits,
    refuse_ranges,
    refuse_resources,
    refuse_strategy,
    total_combinations,
)

Request = Mapping[str, Any]
IDENTICAL = "IdenticalDataAndAlgorithm"
AUTOTUNED_JOBS = 50  # (ours) of an automatic job without MaxNumberOfTrainingJobs; the guide calls 50 usual
BAYESIAN, RANDOM, GRID, HYPERBAND = "Bayesian", "Random", "Grid", "Hyperband"


@dataclass(frozen=True)
class Definition:
    """One of the training job definitions. `given` is its part of the request, `resources` are its ResourceConfigs in
    the order in which they are tried, `name` is empty where the request has none."""

    name: str
    objective: Objective
    ranges: tuple[Range, ...]
    static: Mapping[str, str]
    resources: tuple[Mapping[str, Any], ...]
    given: Request

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics."""
        return tuple(each["Name"] for each in self.given["AlgorithmSpecification"].get("MetricDefinitions", []))


@dataclass(frozen=True)
class WarmStart:
    """The names of the parents. `is_identical`: their objective values can be compared with the new ones."""

    parents: tuple[str, ...]
    is_identical: bool


@dataclass(frozen=True)
class TuningPlan:
    """Training jobs take turns over `definitions`, and have the tuning job's `tags`. `hyperband` is set with that
    strategy only."""

    ref: Ref
    tags: tuple[Mapping[str, str], ...]
    strategy: str
    definitions: tuple[Definition, ...]
    max_jobs: int
    max_parallel: int
    max_runtime_s: float
    stops_early: bool
    criteria: Criteria
    seed: int | None
    hyperband: Hyperband | None
    warm_start: WarmStart | None

    @property
    def goal(self) -> Objective:
        """What is better: of every definition the same."""
        return self.definitions[0].objective


def tuning_plan(ref: Ref, request: Request) -> TuningPlan:
    """Raises ApiError for what AWS would not take."""
    config, autotuned = request["HyperParameterTuningJobConfig"], "Autotune" in request
    strategy, limits = config["Strategy"], config["ResourceLimits"]
    refuse_definitions(request)
    definitions = tuple(_definition(config, given) for given in definitions_of(request))
    for each in definitions:
        refuse_ranges(each, autotuned=autotuned, automatic=_automatic(config, each.given))
    default = _early_stopping(strategy, definitions, autotuned)
    stops_early = config.get("TrainingJobEarlyStoppingType", default) == "Auto"
    refuse_strategy(request, definitions, stops_early=stops_early)
    max_jobs = _max_jobs(config, definitions, autotuned)
    refuse_limits(limits, strategy, definitions, max_jobs)
    return TuningPlan(
        ref=ref,
        tags=tuple(request.get("Tags", ())),
        strategy=strategy,
        definitions=definitions,
        max_jobs=max_jobs if max_jobs is not None else MAX_JOBS,
        max_parallel=limits["MaxParallelTrainingJobs"],
        max_runtime_s=limits.get("MaxRuntimeInSeconds", float("inf")),
        stops_early=stops_early,
        criteria=criteria_of(config, autotuned=autotuned),
        seed=config.get("RandomSeed"),
        hyperband=_hyperband(config, definitions) if strategy == HYPERBAND else None,
        warm_start=_warm_start(request),
    )


def definitions_of(request: Request) -> list[Mapping[str, Any]]:
    """TrainingJobDefinitions, or the only TrainingJobDefinition, of a request or a record."""
    return list(request.get("TrainingJobDefinitions") or [request["TrainingJobDefinition"]])


def _definition(config: Request, given: Request) -> Definition:
    """AWS has objective and ranges in the job's own configuration where there is one definition."""
    objective = given.get("TuningObjective") or config["HyperParameterTuningJobObjective"]
    return Definition(
        name=given.get("DefinitionName", ""),
        objective=objective_of(objective),
        ranges=ranges_of(_ranges(config, given)),
        static=given.get("StaticHyperParameters", {}),
        resources=_resources(given),
        given=given,
    )


def _ranges(config: Request, given: Request) -> Mapping[str, Any]:
    found: Mapping[str, Any] = given.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
    return found


def _automatic(config: Request, given: Request) -> bool:
    return bool(_ranges(config, given).get("AutoParameters"))


def _resources(given: Request) -> tuple[Mapping[str, Any], ...]:
    refuse_resources(given)
    if "ResourceConfig" in given:
        return (given["ResourceConfig"],)
    config = given["HyperParameterTuningResourceConfig"]
    common = {"VolumeKmsKeyId": config["VolumeKmsKeyId"]} if "VolumeKmsKeyId" in config else {}
    alone = {key: config[key] for key in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if key in config}
    return tuple({**common, **each} for each in config.get("InstanceConfigs", [alone]))


def _early_stopping(strategy: str, definitions: tuple[Definition, ...], autotuned: bool) -> str:
    """AWS's default is Off; an automatic job stops early wherever that is allowed (ours)."""
    return "Auto" if autotuned and strategy != HYPERBAND and len(definitions) == 1 else "Off"


def _max_jobs(config: Request, definitions: tuple[Definition, ...], autotuned: bool) -> int | None:
    """What the request says; of a grid all, of an automatic job a number of ours; None when only time limits it."""
    given: int | None = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if given is not None:
        return given
    total = total_combinations(definitions)
    if config["Strategy"] == GRID:
        return total
    return min(AUTOTUNED_JOBS, total or AUTOTUNED_JOBS) if autotuned else None


def _hyperband(config: Request, definitions: tuple[Definition, ...]) -> Hyperband:
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    inferred = [inferred_max_resource(each.static) for each in definitions]
    max_resource = given.get("MaxResource") or next((found for found in inferred if found), None)
    min_resource = given.get("MinResource", DEFAULT_MIN_RESOURCE)
    return Hyperband(min_resource, refuse_hyperband(min_resource, max_resource))


def _warm_start(request: Request) -> WarmStart | None:
    config = request.get("WarmStartConfig")
    if config is None:
        return None
    parents = tuple(each.get("HyperParameterTuningJobName", "") for each in config["ParentHyperParameterTuningJobs"])
    return WarmStart(parents, config["WarmStartType"] == IDENTICAL)
