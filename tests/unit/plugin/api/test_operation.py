"""Who answers an operation."""

import io

import pytest

from stagemaker.api.operation import find, is_record_keeping, payload
from stagemaker.api.tags import Tags
from stagemaker.core.store import MemoryStore


def test_the_first_service_with_the_method_answers() -> None:
    tags = Tags(MemoryStore())
    assert find((object(), tags), "add_tags") == tags.add_tags
    assert find((tags,), "create_domain") is None


@pytest.mark.parametrize(
    "operation",
    ["CreateProcessingJob", "DescribeTransformJob", "CreateHyperParameterTuningJob", "UpdateEndpoint", "CreateModel",
     "ListModels", "StartNotebookInstance", "CreateCluster", "UpdateTrainingJob", "Search", "CreateAutoMLJobV2"],
)  # fmt: skip
def test_moto_never_answers_for_work_that_it_does_not_do(operation: str) -> None:
    assert not is_record_keeping("sagemaker", operation)


@pytest.mark.parametrize("operation", ["CreateModelPackage", "ListModelPackages", "CreateExperiment", "ListPipelines"])
def test_moto_keeps_records(operation: str) -> None:
    assert is_record_keeping("sagemaker", operation)
    assert not is_record_keeping("ecr", operation)


def test_a_streamed_body_is_read() -> None:
    assert payload({"EndpointName": "e", "Body": io.BytesIO(b"x")}) == {"EndpointName": "e", "Body": b"x"}
