"""The rows of the table of operations, and requests as operations get them."""

import io
from datetime import UTC, datetime
from typing import Any

import pytest

from stagemaker.api.moto import may_answer
from stagemaker.api.operation import OWN, by_arn, described, every, named, plain, service
from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tests.unit.plugin.fakes import SCOPE


def answer(scope: object, request: dict[str, Any]) -> dict[str, Any]:
    return {}


def test_a_row_has_its_method_and_the_action_that_iam_is_asked_for() -> None:
    made = service("sagemaker-runtime", "ValidationError", ("InvokeEndpoint", answer, named(ENDPOINT)), iam="sagemaker")
    (operation,) = made.operations.values()
    assert (operation.name, operation.action, operation.call) == ("InvokeEndpoint", "sagemaker:InvokeEndpoint", answer)
    assert service("ecr", "", ("PutImage", answer, every)).operations["PutImage"].action == "ecr:PutImage"


def test_an_operation_has_one_row() -> None:
    with pytest.raises(ValueError, match="two rows"):
        service("ecr", "", ("PutImage", answer, every), ("PutImage", answer, every))


def test_the_resources_that_a_request_names() -> None:
    request = {"EndpointName": "End", "EndpointConfigName": "Config"}
    assert named(ENDPOINT, ENDPOINT_CONFIG, MODEL)(SCOPE, request) == (
        "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/end",
        "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/config",
    )
    assert every(SCOPE, request) == ("*",)
    assert by_arn("ResourceArn")(SCOPE, {"ResourceArn": "arn:x"}) == ("arn:x",)


@pytest.mark.parametrize(
    "operation",
    ["CreateProcessingJob", "DescribeTransformJob", "CreateHyperParameterTuningJob", "UpdateEndpoint", "CreateModel",
     "ListModels", "StartNotebookInstance", "CreateCluster", "UpdateTrainingJob", "Search", "CreateAutoMLJobV2"],
)  # fmt: skip
def test_moto_never_answers_for_work_that_it_does_not_do(operation: str) -> None:
    assert not may_answer("sagemaker", operation)


@pytest.mark.parametrize("operation", ["CreateModelPackage", "ListModelPackages", "CreateExperiment", "ListPipelines"])
def test_moto_keeps_records(operation: str) -> None:
    assert may_answer("sagemaker", operation)
    assert not may_answer("ecr", operation)


def test_a_streamed_body_is_read() -> None:
    assert plain({"EndpointName": "e", "Body": io.BytesIO(b"x")}) == {"EndpointName": "e", "Body": b"x"}


def test_the_nones_of_the_parser_are_dropped_at_any_depth() -> None:
    assert plain({"a": None, "b": [{"c": None, "d": 0}, None], "e": ""}) == {"b": [{"d": 0}], "e": ""}


def test_moments_are_epoch_seconds() -> None:
    moment = datetime.fromtimestamp(5.5, UTC)
    assert plain({"a": moment, "b": [moment.replace(tzinfo=None)]}) == {"a": 5.5, "b": [5.5]}


def test_a_description_shows_neither_tags_nor_what_is_ours() -> None:
    assert described({"ModelName": "m", "Tags": [], OWN: {"x": 1}, "More": 1}, hidden=["More"]) == {"ModelName": "m"}
