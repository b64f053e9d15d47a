"""Which changes of a record are events, and what the events say."""

from typing import Any

import pytest

from stagemaker.api.events import KINDS, event_of
from stagemaker.core.kinds import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    PROCESSING_JOB,
    REPOSITORY,
    TRAINING_JOB,
    TRANSFORM_JOB,
    TUNING_JOB,
)
from stagemaker.core.refs import Kind, Ref
from stagemaker.core.store import Change
from tests.unit.plugin.fakes import SCOPE

JOB: dict[str, Any] = {
    "TrainingJobName": "a",
    "TrainingJobStatus": "InProgress",
    "SecondaryStatus": "Training",
    "CreationTime": 1.5,
    "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": 1.5, "StatusMessage": "Preparing"}],
    "Tags": [{"Key": "team", "Value": "dogs"}],
    "Stagemaker": {"Steps": ["Starting"]},
}
SERVING: dict[str, Any] = {
    "EndpointName": "a",
    "EndpointStatus": "InService",
    "CreationTime": 1.5,
    "Stagemaker": {"Targets": {"all": {"Count": 2, "Weight": 1.0}}},
}
MADE = {"ModelName": "a", "CreationTime": 1.5}


def detail(kind: Kind, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Any:
    event = event_of(Change(Ref(SCOPE, kind, "a"), before, after))
    return None if event is None else event.detail


def test_a_job_s_event_has_its_times_in_milliseconds_as_text_and_nothing_of_the_stage() -> None:
    event = event_of(Change(Ref(SCOPE, TRAINING_JOB, "a"), {**JOB, "SecondaryStatus": "Downloading"}, JOB))
    assert event
    assert (event.detail_type, event.resource) == (
        "SageMaker Training Job State Change",
        Ref(SCOPE, TRAINING_JOB, "a").arn,
    )
    assert event.detail == {
        "TrainingJobName": "a",
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Training",
        "CreationTime": "1500",
        "SecondaryStatusTransitions": [{"Status": "Starting", "StartTime": "1500", "StatusMessage": "Preparing"}],
        "Tags": {"team": "dogs"},
    }


def test_a_tuning_job_s_event_has_its_counters_and_comes_with_its_status_only() -> None:
    before = {"HyperParameterTuningJobName": "a", "HyperParameterTuningJobStatus": "InProgress", "CreationTime": 1.5}
    counters = {"ObjectiveStatusCounters": {"Succeeded": 1, "Pending": 0, "Failed": 0}}
    assert detail(TUNING_JOB, before, {**before, **counters}) is None
    assert detail(TUNING_JOB, before, {**before, **counters, "HyperParameterTuningJobStatus": "Completed"}) == {
        "HyperParameterTuningJobName": "a",
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": "1500",
        **counters,
        "Tags": {},
    }


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (TRAINING_JOB, JOB, {**JOB, "FinalMetricDataList": []}),
        (TRAINING_JOB, JOB, {**JOB, "Tags": []}),
        (TRAINING_JOB, {**JOB, "TrainingJobStatus": "Completed"}, None),
        (ENDPOINT, SERVING, {**SERVING, "Tags": []}),
        (ENDPOINT, {**SERVING, "EndpointStatus": "Deleting"}, None),
        (MODEL, MADE, {**MADE, "Tags": []}),
        (REPOSITORY, None, {"repositoryName": "a"}),
    ],
)
def test_what_changes_no_state_is_no_event(kind: Kind, before: Any, after: Any) -> None:
    assert detail(kind, before, after) is None


@pytest.mark.parametrize(
    ("status", "written"),
    [("InService", "IN_SERVICE"), ("Updating", "UPDATING"), ("UpdateRollbackFailed", "UPDATE_ROLLBACK_FAILED")],
)
def test_the_status_of_an_endpoint_is_in_capitals(status: str, written: str) -> None:
    said = detail(ENDPOINT, {**SERVING, "EndpointStatus": "Creating"}, {**SERVING, "EndpointStatus": status})
    assert said == {
        "EndpointName": "a",
        "EndpointStatus": written,
        "CreationTime": 1500,
        "ProductionVariants": [{"VariantName": "all", "DesiredWeight": 1.0, "DesiredInstanceCount": 2}],
        "Tags": {},
    }


@pytest.mark.parametrize("kind", [MODEL, ENDPOINT_CONFIG])
def test_what_has_no_status_has_an_event_when_it_is_made_and_when_it_is_deleted(kind: Kind) -> None:
    record = {**MADE, f"{kind.noun}Name": "a"}
    assert detail(kind, None, record) == detail(kind, record, None)
    assert detail(kind, None, record)[f"{kind.noun}Name"] == "a"


# What AWS's examples of events show of each kind, the name of the kind's events first.
SHOWN: dict[Kind, tuple[str, set[str]]] = {
    TRAINING_JOB: (
        "SageMaker Training Job State Change",
        {
            *("TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "HyperParameters"),
            *("AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig", "ResourceConfig"),
            *("StoppingCondition", "CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime"),
            "SecondaryStatusTransitions",
        },
    ),
    TUNING_JOB: (
        "SageMaker HyperParameter Tuning Job State Change",
        {
            *("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "TrainingJobDefinition"),
            *("HyperParameterTuningJobStatus", "TrainingJobStatusCounters", "ObjectiveStatusCounters"),
        },
    ),
    PROCESSING_JOB: (
        "SageMaker Processing Job State Change",
        {
            *("ProcessingJobName", "ProcessingJobArn", "ProcessingJobStatus", "FailureReason", "ProcessingInputs"),
            *("ProcessingOutputConfig", "ProcessingResources", "AppSpecification", "RoleArn", "CreationTime"),
        },
    ),
    TRANSFORM_JOB: (
        "SageMaker Transform Job State Change",
        {
            *("TransformJobName", "TransformJobArn", "TransformJobStatus", "ModelName", "TransformInput"),
            *("TransformOutput", "TransformResources", "CreationTime", "TransformStartTime", "TransformEndTime"),
        },
    ),
    ENDPOINT: (
        "SageMaker Endpoint State Change",
        {"EndpointName", "EndpointArn", "EndpointConfigName", "CreationTime", "LastModifiedTime"},
    ),
    ENDPOINT_CONFIG: (
        "SageMaker Endpoint Config State Change",
        {"EndpointConfigName", "EndpointConfigArn", "ProductionVariants", "CreationTime"},
    ),
    MODEL: (
        "SageMaker Model State Change",
        {"ModelName", "ModelArn", "PrimaryContainer", "ExecutionRoleArn", "CreationTime"},
    ),
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.noun))
def test_the_event_of_each_kind_has_its_name_and_what_awss_examples_show(kind: Kind) -> None:
    name, members = SHOWN[kind]
    status = f"{kind.noun}Status"
    record = {**dict.fromkeys(members, "given"), "Stagemaker": {"Targets": {}}, "Other": "not told"}
    before = {**record, status: "Before"} if status in members or kind is ENDPOINT else None
    after = {**record, status: "After"} if before else record
    event = event_of(Change(Ref(SCOPE, kind, "a"), before, after))
    assert event
    assert event.detail_type == name
    own = {"EndpointStatus", "ProductionVariants"} if kind is ENDPOINT else set()
    assert event.detail.keys() == {*members, *own, "Tags"}
