"""The rules of a warm start, one by one, and what is learned from the parents."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TUNING_JOB
from stagemaker.core.refs import Ref
from stagemaker.tuning.plan import TuningPlan, tuning_plan
from stagemaker.tuning.warm_start import Observation, observations, refuse_parents
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.tuning.tuning_requests import COLOURS, continuous, definition, integer, request

WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "parent"}],
    "WarmStartType": "TransferLearning",
}
STATIC = {f"s{number}": "1" for number in range(12)}


def child(**changes: Any) -> TuningPlan:
    return tuning_plan(Ref(SCOPE, TUNING_JOB, "child"), request("child", WarmStartConfig=WARM, **changes))


def parent(status: str = "Completed", **changes: Any) -> dict[str, Any]:
    return {**request("parent", **changes), "HyperParameterTuningJobStatus": status}


def refusal(plan: TuningPlan, record: dict[str, Any], jobs: int = 4) -> str:
    with pytest.raises(ApiError) as caught:
        refuse_parents(plan, [(record, jobs)])
    assert caught.value.code == "ValidationException"
    return caught.value.message


@pytest.mark.parametrize("status", ["Completed", "Stopped", "Failed"])
def test_a_parent_that_has_ended_is_taken(status: str) -> None:
    refuse_parents(child(), [(parent(status), 4)])


@pytest.mark.parametrize("status", ["InProgress", "Stopping"])
def test_a_parent_that_runs_is_refused(status: str) -> None:
    assert "must be in a terminal state (Completed, Stopped, or Failed)" in refusal(child(), parent(status))


@pytest.mark.parametrize(
    "objective", [{"Type": "Maximize", "MetricName": "loss"}, {"Type": "Minimize", "MetricName": "error"}]
)
def test_the_objective_must_be_the_same(objective: dict[str, str]) -> None:
    record = parent(config={"HyperParameterTuningJobObjective": objective})
    assert "The objective of the tuning job must be that of its parent parent" in refusal(child(), record)


def test_the_hyperparameters_must_be_the_same_tunable_or_static() -> None:
    said = "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs."
    assert said in refusal(child(static={"epochs": "4", "more": "1"}), parent())
    assert said in refusal(child(), parent(static={}))
    refuse_parents(child(static={}, ranges={**integer("epochs", "1", "9"), **continuous("rate", "0", "1")}),
                   [(parent(), 4)])  # fmt: skip
    refuse_parents(child(static={"epochs": "4", "_tuning_objective_metric": "loss"}), [(parent(), 4)])


def test_the_type_of_a_hyperparameter_must_not_change() -> None:
    said = "The hyperparameter rate is Integer and was Continuous in the parent tuning job parent"
    assert said in refusal(child(ranges=integer("rate", "1", "9")), parent())


def test_ranges_may_change() -> None:
    refuse_parents(child(ranges=continuous("rate", "0.5", "3", ScalingType="Logarithmic")), [(parent(), 4)])


def test_at_most_ten_static_values_may_change() -> None:
    def changed(number: int) -> dict[str, str]:
        return {name: "2" if index < number else value for index, (name, value) in enumerate(STATIC.items())}

    refuse_parents(child(static=changed(10)), [(parent(static=STATIC), 4)])
    said = "There are 11 changes of static hyperparameters against the parent tuning job parent, and at most 10"
    assert said in refusal(child(static=changed(11)), parent(static=STATIC))


def test_each_value_of_a_categorical_hyperparameter_is_a_change() -> None:
    """The guide's own example counts two: red and blue become red, or red becomes blue."""
    numbers = {f"s{number}": "2" for number in range(9)}
    tunable = parent(static=dict.fromkeys(numbers, "1"), ranges={**COLOURS, **continuous("rate", "0", "1")})
    assert "There are 12 changes" in refusal(child(static={**numbers, "colour": "red"}), tunable)
    static = parent(static={**dict.fromkeys(numbers, "1"), "colour": "red"})
    assert "There are 11 changes" in refusal(child(static={**numbers, "colour": "blue"}), static)


def test_a_tunable_number_that_becomes_static_is_one_change() -> None:
    numbers = {f"s{number}": "2" for number in range(10)}
    record = parent(
        static=dict.fromkeys(numbers, "1"), ranges={**integer("n", "1", "9"), **continuous("rate", "0", "1")}
    )
    assert "There are 11 changes" in refusal(child(static={**numbers, "n": "3"}), record)


def test_the_parents_training_jobs_count_towards_five_hundred() -> None:
    refuse_parents(child(jobs=100), [(parent(), 200), (parent(), 200)])
    said = "The training jobs of the parent tuning jobs and of this one, [501] together, must not be more than 500."
    with pytest.raises(ApiError, match="501") as caught:
        refuse_parents(child(jobs=101), [(parent(), 200), (parent(), 200)])
    assert caught.value.message == said


def test_only_some_members_of_a_definition_may_change() -> None:
    said = (
        "Only the following fields in TrainingJobDefinition are allowed to change: [algorithmSpecification, "
        "inputDataConfig, outputDataConfig, staticHyperParameters, roleArn, resourceConfig, stoppingCondition, "
        "vpcConfig, enableManagedSpotTraining, checkpointConfig]."
    )
    other = definition(Environment={"A": "1"})
    assert refusal(child(), parent(TrainingJobDefinition=other)) == said
    for allowed in (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 99}},
        {"OutputDataConfig": {"S3OutputPath": "s3://other/out"}},
        {"EnableNetworkIsolation": False},  # as it is in a record
        {"ResourceConfig": None, "HyperParameterTuningResourceConfig": {"InstanceType": "ml.m5.xlarge"}},
    ):
        refuse_parents(child(), [(parent(TrainingJobDefinition=definition(**allowed)), 4)])


def test_a_parent_with_several_definitions_is_refused() -> None:
    record = parent(TrainingJobDefinition=None)
    record["TrainingJobDefinitions"] = [definition(), definition()]
    assert "has more than one training job definition" in refusal(child(), record)


def tried(value: float | None, status: str = "Completed", **hyperparameters: str) -> dict[str, Any]:
    metrics = [] if value is None else [{"MetricName": "loss", "Value": value, "Timestamp": 1.0}]
    return {
        "TrainingJobStatus": status,
        "HyperParameters": {"epochs": "4", "rate": "0.5", **hyperparameters},
        "FinalMetricDataList": metrics,
        "Stagemaker": {"Tuning": {"Metric": "loss"}},
    }


def test_what_was_evaluated_within_the_new_ranges_is_learned() -> None:
    plan = child(static={}, ranges={**integer("epochs", "1", "9"), **continuous("rate", "0", "1")})
    records = [
        tried(0.5),
        tried(0.4, status="Stopped", rate="0.25"),
        tried(0.1, rate="2.0"),  # outside
        tried(0.2, status="Failed"),
        tried(None),
    ]
    assert observations(plan.definitions[0], records) == [
        Observation({"epochs": "4", "rate": "0.5"}, 0.5),
        Observation({"epochs": "4", "rate": "0.25"}, 0.4),
    ]
