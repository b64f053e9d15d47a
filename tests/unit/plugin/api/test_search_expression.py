"""What an expression of Search is true of."""

from typing import Any

import pytest

from stagemaker.api.search_expression import CONTAINS_ONCE, Properties, check, is_found, sort_key, suggestions
from stagemaker.core.errors import ApiError

JOB: dict[str, Any] = {
    "TrainingJobName": "dogs-1",
    "TrainingJobStatus": "Completed",
    "CreationTime": 1_800_000_000.0,  # 2027-01-15T08:00:00Z
    "BillableTimeInSeconds": 90,
    "EnableManagedSpotTraining": True,
    "HyperParameters": {"epochs": "10", "model": "resnet50"},
    "FinalMetricDataList": [{"MetricName": "valid:accuracy", "Value": 0.75, "Timestamp": 1_800_000_100.0}],
    "Tags": [{"Key": "team", "Value": "dogs"}],
    "InputDataConfig": [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/train"}}},
        {"ChannelName": "valid", "DataSource": {"S3DataSource": {"S3Uri": "s3://bucket/valid"}}},
    ],
    "ResourceConfig": {"InstanceType": "ml.g5.xlarge"},
}
PROPERTIES = Properties(frozenset(JOB))


def one(name: str, operator: str = "", value: str | None = None) -> dict[str, Any]:
    return {
        "Name": name,
        **({"Operator": operator} if operator else {}),
        **({"Value": value} if value is not None else {}),
    }


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (one("TrainingJobName", value="dogs-1"), True),
        (one("TrainingJobName", "Equals", "Dogs-1"), False),
        (one("TrainingJobName", "NotEquals", "dogs-2"), True),
        (one("TrainingJobName", "Contains", "gs-"), True),
        (one("TrainingJobStatus", "In", "Failed, Completed"), True),
        (one("TrainingJobStatus", "In", "Failed,Stopped"), False),
        (one("BillableTimeInSeconds", "GreaterThan", "89.5"), True),
        (one("BillableTimeInSeconds", "LessThanOrEqualTo", "89"), False),
        (one("BillableTimeInSeconds", "Equals", "90.0"), True),
        (one("CreationTime", "GreaterThanOrEqualTo", "2027-01-15T08:00:00"), True),
        (one("CreationTime", "LessThan", "2027-01-15T08:00:00Z"), False),
        (one("CreationTime", "LessThan", "2027-01-15T09:30:00+01:00"), True),
        (one("EnableManagedSpotTraining", "Equals", "true"), True),
        (one("EnableManagedSpotTraining", "Equals", "False"), False),
        (one("HyperParameters.epochs", "GreaterThan", "9"), True),
        (one("HyperParameters.epochs", "Equals", "10.0"), True),
        (one("HyperParameters.model", "Equals", "resnet50"), True),
        (one("Metrics.valid:accuracy", "GreaterThan", "0.7"), True),
        (one("Metrics.other", "GreaterThan", "0"), False),
        (one("Metrics.other", "NotEquals", "0"), False),
        (one("Tags.team", "Equals", "dogs"), True),
        (one("Tags.team", "Exists"), True),
        (one("Tags.cost", "Exists"), False),
        (one("Tags.cost", "NotExists"), True),
        (one("FailureReason", "NotExists"), True),
        (one("ResourceConfig.InstanceType", "Contains", "g5"), True),
        (one("InputDataConfig.DataSource.S3DataSource.S3Uri", "Equals", "s3://bucket/valid"), True),
    ],
)
def test_a_condition(condition: dict[str, Any], holds: bool) -> None:
    assert is_found(JOB, {"Filters": [condition]}) == holds


def test_one_element_must_have_all_that_is_nested() -> None:
    def nested(channel: str, uri: str) -> dict[str, Any]:
        filters = [
            one("InputDataConfig.ChannelName", "Equals", channel),
            one("InputDataConfig.DataSource.S3DataSource.S3Uri", "Equals", uri),
        ]
        return {"NestedFilters": [{"NestedPropertyName": "InputDataConfig", "Filters": filters}]}

    assert is_found(JOB, nested("valid", "s3://bucket/valid"))
    assert not is_found(JOB, nested("train", "s3://bucket/valid"))


def test_all_or_one_of_them() -> None:
    parts = [one("TrainingJobName", value="dogs-1"), one("TrainingJobStatus", value="Failed")]
    assert not is_found(JOB, {"Filters": parts})
    assert is_found(JOB, {"Filters": parts, "Operator": "Or"})
    assert is_found(JOB, {"Filters": parts[:1], "SubExpressions": [{"Filters": parts, "Operator": "Or"}]})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({}, "at least one of"),
        ({"Filters": [one("Name", value="x")]}, "Unknown property name: Name"),
        ({"Filters": [one("TrainingJobName", "Contains", each) for each in "ab"]}, CONTAINS_ONCE),
        ({"Filters": [one("TrainingJobName")]}, "has no Value"),
        (
            {"SubExpressions": [{"Filters": [one("TrainingJobName", value="x")] * 17} for _ in range(3)]},
            "at most 50 conditions; it has 51",
        ),
    ],
)
def test_an_expression_that_is_refused(expression: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        check(expression, PROPERTIES)
    assert caught.value.code == "ValidationException"
    assert message in caught.value.message


@pytest.mark.parametrize(
    "condition",
    [
        one("TrainingJobName", "GreaterThan", "a"),
        one("BillableTimeInSeconds", "Contains", "9"),
        one("BillableTimeInSeconds", "Equals", "many"),
        one("CreationTime", "LessThan", "yesterday"),
        one("HyperParameters.model", "LessThan", "resnet60"),
    ],
)
def test_an_operator_that_does_not_fit(condition: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        is_found(JOB, {"Filters": [condition]})
    assert caught.value.code == "ValidationException"


def test_what_a_resource_is_sorted_by() -> None:
    assert sort_key(JOB, "Metrics.valid:accuracy") == 0.75
    assert sort_key(JOB, "HyperParameters.epochs") == "10"
    assert sort_key(JOB, "Metrics.none") is None


def test_names_that_begin_with_a_hint() -> None:
    assert suggestions([JOB], PROPERTIES, "hyperparameters.e") == ["HyperParameters.epochs"]
    assert suggestions([JOB], PROPERTIES, "T") == [
        "Tags", "Tags.team", "TrainingJobName", "TrainingJobStatus",
    ]  # fmt: skip
