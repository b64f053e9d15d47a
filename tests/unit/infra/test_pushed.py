"""Which images the registry lacks."""

from typing import Any

import pytest

from infra import pushed
from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.settings import DeploymentSettings
from tests.unit.infra.fakes import FakeClient, missing

BLUEPRINT = Blueprint(DeploymentSettings(region="eu-west-1"), "123456789012", "00")


def registry(*repositories: str) -> FakeClient:
    """One whose repositories have every image that is asked for."""

    def describe(**request: Any) -> dict[str, Any]:
        if request["repositoryName"] not in repositories:
            raise missing("RepositoryNotFoundException")
        return {"imageDetails": [request]}

    return FakeClient({"describe_images": describe})


def test_all_are_there() -> None:
    ecr = registry("stagemaker/trainer", "stagemaker/serve")
    pushed.check(ecr, BLUEPRINT)
    assert [request["imageIds"] for _, request in ecr.calls] == [[{"imageTag": "latest"}]] * 2


def test_each_that_is_missing_is_named_with_the_command() -> None:
    with pytest.raises(StepFailed) as caught:
        pushed.check(registry("stagemaker/serve"), BLUEPRINT)
    assert caught.value.reason == (
        "The registry lacks 123456789012.dkr.ecr.eu-west-1.amazonaws.com/stagemaker/trainer:latest."
    )
    assert "make push TARGET=aws" in caught.value.next_step


def test_a_repository_without_the_image() -> None:
    ecr = FakeClient({"describe_images": missing("ImageNotFoundException")})
    assert len(pushed.missing(ecr, BLUEPRINT)) == 2
