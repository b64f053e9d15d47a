"""What a request of CreateTransformJob means, as values."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRANSFORM_JOB
from stagemaker.core.refs import Ref
from stagemaker.transform.plan import Batching, TransformPlan, transform_plan
from stagemaker.transform.unsupported import refuse_unsupported
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.transform.transform_requests import request, transform_input, transform_output


def planned(**changes: Any) -> TransformPlan:
    return transform_plan(Ref(SCOPE, TRANSFORM_JOB, "job"), request(**changes))


@pytest.mark.parametrize(
    ("uri", "key", "output"),
    [
        ("s3://b/in/", "in/a.csv", "a.csv.out"),
        ("s3://b/in", "in/a.csv", "a.csv.out"),
        ("s3://b/in/", "in/deep/a.csv", "deep/a.csv.out"),
        ("s3://b/in/a.csv", "in/a.csv", "a.csv.out"),
        ("s3://b/in/a", "in/a-1.csv", "a-1.csv.out"),
        ("s3://b", "a.csv", "a.csv.out"),
    ],
)
def test_where_the_answers_to_an_object_go(uri: str, key: str, output: str) -> None:
    assert planned(**transform_input(uri)).output_of(key, uri) == f"s3://bucket/out/{output}"


def test_the_container_is_told_only_what_the_request_said() -> None:
    assert planned(Environment={"A": "1", "SAGEMAKER_BATCH": "no"}).environment == {"A": "1", "SAGEMAKER_BATCH": "true"}
    said = planned(
        MaxPayloadInMB=5, MaxConcurrentTransforms=4, BatchStrategy="MultiRecord", **transform_input(SplitType="Line")
    )
    assert said.environment == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "5",
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
    }


def test_defaults() -> None:
    plan = planned()
    assert (plan.timeout_s, plan.retries, plan.split_kind, plan.joins_lines) == (600, 3, "None", False)
    assert plan.filters is None
    asked = planned(ModelClientConfig={"InvocationsTimeoutInSeconds": 9, "InvocationsMaxRetries": 0})
    assert (asked.timeout_s, asked.retries) == (9, 0)


def test_the_largest_request_that_aws_takes() -> None:
    changes = {"MaxPayloadInMB": 25, "MaxConcurrentTransforms": 4}
    refuse_unsupported(request(**changes))
    assert planned(**changes).batching == Batching(4, 25, None)


CSV_LINES: dict[str, Any] = {
    **transform_input(ContentType="text/csv", SplitType="Line"),
    **transform_output(Accept="text/csv", AssembleWith="Line"),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"MaxConcurrentTransforms": 20, "MaxPayloadInMB": 6}, "must be at most 100; it is 120"),
        ({"MaxPayloadInMB": 101}, "must be at most 100; it is 101"),
        ({"BatchStrategy": "MultiRecord"}, "needs a SplitType"),
        (transform_input("https://bucket/in"), "must be an S3 URI"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "needs a ContentType of text/csv"),
        (
            {**CSV_LINES, **transform_output(Accept="application/json"), "DataProcessing": {"JoinSource": "Input"}},
            "needs Accept to be ContentType",
        ),
        (
            {**CSV_LINES, **transform_output(Accept="text/csv"), "DataProcessing": {"JoinSource": "Input"}},
            "needs SplitType to be AssembleWith",
        ),
        ({**CSV_LINES, "DataProcessing": {"InputFilter": "$.a"}}, "selects by position only"),
        ({**CSV_LINES, "DataProcessing": {"OutputFilter": "a"}}, "DataProcessing.OutputFilter: 'a' must begin with $."),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError) as caught:
        planned(**changes)
    assert caught.value.code == "ValidationException"
    assert message in caught.value.message


def test_more_instances_than_one_machine_runs() -> None:
    with pytest.raises(ApiError) as caught:
        planned(TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 21})
    assert caught.value.code == "ResourceLimitExceeded"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, "DataCaptureConfig"),
        ({"MaxPayloadInMB": 0}, "MaxPayloadInMB=0"),
        (
            {"TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "Converse", "S3Uri": "s3://b/c"}}}},
            "TransformInput.DataSource.S3DataSource.S3DataType=Converse",
        ),
    ],
)
def test_what_is_not_implemented_is_refused_by_its_name(changes: dict[str, Any], name: str) -> None:
    with pytest.raises(ApiError) as caught:
        refuse_unsupported(request(**changes))
    assert caught.value.status == 501
    assert name in caught.value.message
