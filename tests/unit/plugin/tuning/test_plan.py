"""CreateHyperParameterTuningJob's request as a plan, and every request that is refused."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TUNING_JOB
from stagemaker.core.refs import Ref
from stagemaker.tuning.completion import Criteria
from stagemaker.tuning.hyperband import Hyperband
from stagemaker.tuning.plan import TuningPlan, WarmStart, tuning_plan
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.tuning.tuning_requests import (
    COLOURS,
    LOSS,
    NUMBERS,
    continuous,
    definition,
    integer,
    request,
)

OBJECTIVE = {"Type": "Minimize", "MetricName": "loss"}
TWO = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None}  # of a config with several definitions


def plan(given: dict[str, Any]) -> TuningPlan:
    return tuning_plan(Ref(SCOPE, TUNING_JOB, given["HyperParameterTuningJobName"]), given)


def refusal(given: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        plan(given)
    return caught.value


def several(*names: str, **changes: Any) -> dict[str, Any]:
    """A job with a definition of each name."""
    own = {"TuningObjective": OBJECTIVE, "HyperParameterRanges": NUMBERS}
    definitions = [definition(DefinitionName=name, **own) for name in names]
    given = request(config=TWO, TrainingJobDefinition=None, TrainingJobDefinitions=definitions)
    return {**given, **changes}


def resources(**config: Any) -> dict[str, Any]:
    given = definition(ResourceConfig=None, HyperParameterTuningResourceConfig=config)
    return request(TrainingJobDefinition=given)


def test_a_plan_says_what_the_request_asks_for() -> None:
    criteria = {"TargetObjectiveMetricValue": 0.1}
    found = plan(
        request(
            strategy="Bayesian",
            jobs=20,
            parallel=3,
            limits={"MaxRuntimeInSeconds": 600},
            config={
                "RandomSeed": 7,
                "TrainingJobEarlyStoppingType": "Auto",
                "TuningJobCompletionCriteria": criteria,
            },
            Tags=[{"Key": "team", "Value": "dogs"}],
        )
    )
    assert (found.strategy, found.max_jobs, found.max_parallel, found.max_runtime_s) == ("Bayesian", 20, 3, 600)
    assert (found.seed, found.stops_early, found.criteria) == (7, True, Criteria(target=0.1))
    assert found.tags == ({"Key": "team", "Value": "dogs"},)
    assert (found.goal.metric, found.goal.maximize) == ("loss", False)
    assert (found.hyperband, found.warm_start) == (None, None)


def test_what_the_request_leaves_out_has_awss_defaults() -> None:
    found = plan(request())
    assert (found.seed, found.stops_early, found.max_runtime_s) == (None, False, float("inf"))
    assert plan(request(jobs=None, limits={"MaxRuntimeInSeconds": 120})).max_jobs == 750, (
        "only time and the quota end it"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (request(TrainingJobDefinition=None), "Provide either TrainingJobDefinition or TrainingJobDefinitions."),
        ({**several("a", "b"), "TrainingJobDefinition": definition()}, "Provide either TrainingJobDefinition or"),
        (several("a", "a"), "needs a DefinitionName of its own"),
        ({**several("a", "b"), "HyperParameterTuningJobConfig": request()["HyperParameterTuningJobConfig"]},
         "belong to each definition, not to HyperParameterTuningJobConfig"),
        (request(config={"HyperParameterTuningJobObjective": None}), "needs an objective: its Type and MetricName"),
        (request(ranges=None), "At least one hyperparameter range is required."),
        (request(ranges={"IntegerParameterRanges": []}), "At least one hyperparameter range is required."),
        (request(ranges={**integer("a", "1", "2"), **continuous("a", "1", "2")}), "name a hyperparameter twice: a."),
        (request(ranges=integer("epochs", "1", "9")), "cannot be static and tunable at once: epochs."),
        (request(ranges=integer("_tuning_objective_metric", "1", "9")), "_tuning_objective_metric is reserved"),
        (request(static={f"h{n}": "1" for n in range(99)}), "A training job has at most 100 hyperparameters"),
        (request(config={"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "other"}}),
         "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "),
        (request(ranges={"AutoParameters": [{"Name": "a", "ValueHint": "1"}]}), "AutoParameters need Autotune"),
        (request(ranges=integer("a", "5", "4")), "MinValue [5] of the hyperparameter a must not be greater"),
        (request(strategy="Grid", jobs=None), "supports categorical hyperparameters only, not rate."),
        (request(strategy="Grid", ranges=COLOURS, jobs=2), "MaxNumberOfTrainingJobs, [2], must be left out or equal"),
        (request(strategy="Grid", ranges=COLOURS, jobs=4), "the number of hyperparameter combinations, [3]."),
        (request(strategy="Hyperband", config={"TrainingJobEarlyStoppingType": "Auto"}),
         "TrainingJobEarlyStoppingType must be Off to use the Hyperband strategy."),
        (request(strategy="Hyperband", static={"rounds": "9"}), "The Hyperband strategy needs MaxResource, or"),
        (request(config={"StrategyConfig": {"HyperbandStrategyConfig": {"MaxResource": 9}}}),
         "supported by the Hyperband strategy only"),
        (request(jobs=None), "ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds."),
        (request(ranges=COLOURS, jobs=10),
         "The total number of hyperparameter combinations for the provided ranges [3.0] must be equal or greater than "
         "the value of MaxNumberOfJobs, [10]. Provide additional ranges."),
    ],
)  # fmt: skip
def test_what_aws_would_not_take_is_refused(given: dict[str, Any], said: str) -> None:
    error = refusal(given)
    assert (error.code, error.status) == ("ValidationException", 400)
    assert said in error.message


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (request(parallel=11), "per hyperparameter tuning job' is 10, with current utilization of 0 and a request"),
        (request(jobs=751), "'Maximum number of training jobs per hyperparameter tuning job' is 750"),
        (request(ranges={"IntegerParameterRanges": [
            {"Name": f"h{n}", "MinValue": "1", "MaxValue": "2"} for n in range(31)]}), "is 30"),
        (request(TrainingJobDefinition=definition(AlgorithmSpecification={"MetricDefinitions": [
            LOSS, *({"Name": f"m{n}", "Regex": "(.)"} for n in range(20))]})), "is 20"),
    ],
)  # fmt: skip
def test_a_quota_is_named_in_awss_sentence(given: dict[str, Any], said: str) -> None:
    error = refusal(given)
    assert error.code == "ResourceLimitExceeded"
    assert error.message.startswith("The account-level service limit '")
    assert said in error.message


def test_the_edges_of_the_quotas_are_taken() -> None:
    assert plan(request(jobs=750, parallel=10)).max_jobs == 750
    assert plan(request(ranges=COLOURS, jobs=3)).max_jobs == 3


def test_a_grid_runs_all_configurations() -> None:
    assert plan(request(strategy="Grid", ranges=COLOURS, jobs=None)).max_jobs == 3
    assert plan(request(strategy="Grid", ranges=COLOURS, jobs=3)).max_jobs == 3


def test_hyperband_has_its_resources_from_the_request_or_from_a_static_hyperparameter() -> None:
    asked = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 3, "MaxResource": 27}}}
    assert plan(request(strategy="Hyperband", config=asked)).hyperband == Hyperband(3, 27)
    assert plan(request(strategy="Hyperband")).hyperband == Hyperband(1, 4), "epochs is 4"


@pytest.mark.parametrize(
    ("least", "most", "said"),
    [
        (1, 20_001, "MaxResource, [20001], must not be greater than 20000."),
        (28, 27, "MinResource, [28], must not be greater than MaxResource, [27]."),
    ],
)
def test_hyperbands_resources_have_limits(least: int, most: int, said: str) -> None:
    asked = {"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": least, "MaxResource": most}}}
    assert refusal(request(strategy="Hyperband", config=asked)).message == said


def test_several_definitions_have_objectives_and_ranges_of_their_own() -> None:
    found = plan(several("a", "b"))
    assert [each.name for each in found.definitions] == ["a", "b"]
    assert [each.ranges[0].name for each in found.definitions] == ["rate", "rate"]


def test_objectives_of_several_types_cannot_be_compared() -> None:
    given = several("a", "b")
    given["TrainingJobDefinitions"][1]["TuningObjective"] = {"Type": "Maximize", "MetricName": "loss"}
    assert refusal(given).message == "The TuningObjective of every definition must have the same Type."


def test_early_stopping_and_warm_start_need_one_definition() -> None:
    given = several("a", "b")
    early = {**given["HyperParameterTuningJobConfig"], "TrainingJobEarlyStoppingType": "Auto"}
    assert "Early stopping is available only" in refusal({**given, "HyperParameterTuningJobConfig": early}).message
    parents = [{"HyperParameterTuningJobName": "parent"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "TransferLearning"}
    assert "Warm start is available only" in refusal({**given, "WarmStartConfig": warm}).message


def test_the_environments_of_all_definitions_have_one_limit() -> None:
    given = several("a", "b")
    for each in given["TrainingJobDefinitions"]:
        each["Environment"] = {f"V{n}": "1" for n in range(24)}
    assert plan(given)
    given["TrainingJobDefinitions"][0]["Environment"]["MORE"] = "1"
    assert "more than 48 environment variables" in refusal(given).message


def test_a_warm_start_names_its_parents() -> None:
    parents = [{"HyperParameterTuningJobName": name} for name in ("p", "q")]
    for kind, is_identical in (("IdenticalDataAndAlgorithm", True), ("TransferLearning", False)):
        warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": kind}
        assert plan(request(WarmStartConfig=warm)).warm_start == WarmStart(("p", "q"), is_identical)


def test_instances_are_tried_in_the_order_of_the_request() -> None:
    configs = [
        {"InstanceType": f"ml.m5.{size}", "InstanceCount": 1, "VolumeSizeInGB": 1} for size in ("xlarge", "large")
    ]
    [found] = plan(resources(AllocationStrategy="Prioritized", InstanceConfigs=configs, VolumeKmsKeyId="k")).definitions
    assert found.resources == tuple({"VolumeKmsKeyId": "k", **each} for each in configs)
    assert plan(resources(InstanceConfigs=configs)).definitions[0].resources == tuple(configs), "as SDK 2 sends it"
    alone = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    assert plan(resources(**alone)).definitions[0].resources == (alone,)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (request(TrainingJobDefinition=definition(ResourceConfig=None)), "Provide either ResourceConfig or"),
        (request(TrainingJobDefinition=definition(HyperParameterTuningResourceConfig={})), "Provide either Resource"),
        (resources(AllocationStrategy="Prioritized"), "AllocationStrategy needs InstanceConfigs."),
        (resources(AllocationStrategy="Prioritized", InstanceConfigs=[{}], InstanceCount=1),
         "With InstanceConfigs, do not provide InstanceCount."),
    ],
)  # fmt: skip
def test_instances_are_said_once(given: dict[str, Any], said: str) -> None:
    assert said in refusal(given).message


def test_autotune_chooses_what_the_request_leaves_open() -> None:
    ranges = {"AutoParameters": [{"Name": "rate", "ValueHint": "0.01"}, {"Name": "nesterov", "ValueHint": "true"}]}
    found = plan(request(ranges=ranges, jobs=None, Autotune={"Mode": "Enabled"}))
    assert [each.name for each in found.definitions[0].ranges] == ["rate", "nesterov"]
    assert (found.max_jobs, found.stops_early, found.criteria) == (50, True, Criteria(on_convergence=True))
    given = {"TrainingJobEarlyStoppingType": "Off"}
    assert not plan(request(ranges=ranges, config=given, Autotune={"Mode": "Enabled"})).stops_early
    hyperband = request(strategy="Hyperband", ranges=ranges, jobs=None, Autotune={"Mode": "Enabled"})
    assert not plan(hyperband).stops_early, "Hyperband stops by itself"


def test_autotune_does_not_ask_for_more_than_there_is() -> None:
    ranges = {"AutoParameters": [{"Name": "nesterov", "ValueHint": "true"}]}
    assert plan(request(ranges=ranges, jobs=None, Autotune={"Mode": "Enabled"})).max_jobs == 2
