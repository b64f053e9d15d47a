"""What CreateModel checks, and what the others answer."""

from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import MODEL
from stagemaker.hosting.models import DOCKER_MANIFEST, Models
from stagemaker.runtime.contract import ImageRefused, IsolationRefused
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import DATA, IMAGE, HostingEnvironment

CONTAINER = {"Image": IMAGE, "ModelDataUrl": DATA}
GOOD: dict[str, Any] = {"ModelName": "Dogs", "PrimaryContainer": CONTAINER, "ExecutionRoleArn": ROLE}


@pytest.fixture
def hosting(tmp_path: Path) -> HostingEnvironment:
    return HostingEnvironment(tmp_path, FakeClock(), {})


def refused(hosting: HostingEnvironment, request: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as error:
        hosting.models.create_model(SCOPE, request)
    assert hosting.store.all(SCOPE, MODEL) == []
    return error.value


def test_a_model_is_described_as_it_was_given(hosting: HostingEnvironment) -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model/dogs"
    assert hosting.models.create_model(SCOPE, {**GOOD, "Tags": [{"Key": "a", "Value": "b"}]}) == {"ModelArn": arn}
    assert hosting.models.describe_model(SCOPE, {"ModelName": "Dogs"}) == {
        **GOOD,
        "ModelArn": arn,
        "CreationTime": 1_800_000_000.0,
        "EnableNetworkIsolation": False,
    }
    assert hosting.tags.list_tags(SCOPE, {"ResourceArn": arn}) == {"Tags": [{"Key": "a", "Value": "b"}]}


def test_one_container_may_be_given_as_a_list(hosting: HostingEnvironment) -> None:
    hosting.models.create_model(SCOPE, {"ModelName": "m", "Containers": [CONTAINER], "ExecutionRoleArn": ROLE})
    assert hosting.models.describe_model(SCOPE, {"ModelName": "m"})["Containers"] == [CONTAINER]


@pytest.mark.parametrize(
    "media_type", ["application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"]
)
def test_only_an_image_with_docker_s_manifest_becomes_a_model(hosting: HostingEnvironment, media_type: str) -> None:
    found: list[str | None] = [media_type, DOCKER_MANIFEST, None]
    hosting.models = Models(hosting.store, hosting.runtime, hosting.aws, FakeClock(), lambda _: found.pop(0))
    error = refused(hosting, GOOD)
    assert error.code == "ValidationException"
    assert error.message.startswith(
        f"Unsupported manifest media type {media_type} for image {IMAGE}. Ensure that valid manifest media type is "
        "used for specified image. Stagemaker: "
    )
    for name in ("docker", "not-in-ecr"):
        hosting.models.create_model(SCOPE, {**GOOD, "ModelName": name})


def test_models_are_listed_and_deleted(hosting: HostingEnvironment) -> None:
    for name in ("a", "b", "c"):
        hosting.models.create_model(SCOPE, {**GOOD, "ModelName": name})
    hosting.models.delete_model(SCOPE, {"ModelName": "b"})
    first = hosting.models.list_models(SCOPE, {"MaxResults": 1})
    assert [sorted(model) for model in first["Models"]] == [["CreationTime", "ModelArn", "ModelName"]]
    second = hosting.models.list_models(SCOPE, {"NextToken": first["NextToken"]})
    assert [model["ModelName"] for model in first["Models"] + second["Models"]] == ["c", "a"]
    assert "NextToken" not in second


@pytest.mark.parametrize("operation", ["describe_model", "delete_model"])
def test_a_model_that_is_not_there(hosting: HostingEnvironment, operation: str) -> None:
    with pytest.raises(ApiError, match='Could not find model "arn:aws:sagemaker:eu-west-1:123456789012:model/x"'):
        getattr(hosting.models, operation)(SCOPE, {"ModelName": "x"})


@pytest.mark.parametrize("name", ["Dogs", "dogs"])
def test_a_name_that_is_taken_is_refused_in_aws_s_words(hosting: HostingEnvironment, name: str) -> None:
    hosting.models.create_model(SCOPE, GOOD)
    with pytest.raises(ApiError, match="Cannot create already existing model") as error:
        hosting.models.create_model(SCOPE, {**GOOD, "ModelName": name})
    assert (error.value.code, error.value.status) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"ExecutionRoleArn": ROLE + "s"},
            f'The execution role ARN "{ROLE}s" is invalid. Please ensure that the role exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com".',
        ),
        ({"ExecutionRoleArn": None}, "ExecutionRoleArn is required"),
        ({"PrimaryContainer": {**CONTAINER, "ModelDataUrl": "s3://bucket/no"}}, "Could not access model data at s3://"),
        ({"PrimaryContainer": {**CONTAINER, "ModelDataUrl": "https://host/model.tar.gz"}}, "s3://bucket/key"),
        ({"PrimaryContainer": {"ModelDataUrl": DATA}}, "has no Image"),
        ({"PrimaryContainer": None}, "either PrimaryContainer or Containers"),
        ({"Containers": [CONTAINER]}, "either PrimaryContainer or Containers"),
    ],
)
def test_what_is_wrong_leaves_no_model(hosting: HostingEnvironment, change: dict[str, Any], sentence: str) -> None:
    request = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    error = refused(hosting, request)
    assert (error.code, error.status) == ("ValidationException", 400)
    assert sentence in error.message


def test_an_image_that_the_runtime_cannot_run_is_refused_at_once(hosting: HostingEnvironment) -> None:
    error = refused(hosting, {**GOOD, "PrimaryContainer": {**CONTAINER, "Image": "nginx"}})
    assert isinstance(error, ImageRefused)
    assert "needs Docker" in error.message


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"PrimaryContainer": {"ModelPackageName": "p"}}, "ModelPackageName"),
        ({"PrimaryContainer": {**CONTAINER, "ImageConfig": {"RepositoryAccessMode": "Vpc"}}}, "ImageConfig"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(
    hosting: HostingEnvironment, change: dict[str, Any], member: str
) -> None:
    request = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    error = refused(hosting, request)
    assert error.status == 501
    assert member in error.message


def test_isolation_that_there_is_not_is_refused_by_name(
    hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check() -> None:
        raise IsolationRefused("Network isolation needs Docker.")

    monkeypatch.setattr(hosting.runtime, "check_isolation", check)
    error = refused(hosting, {**GOOD, "EnableNetworkIsolation": True})
    assert (error.code, error.message) == ("ValidationException", "Network isolation needs Docker.")
    hosting.models.create_model(SCOPE, GOOD)


def test_an_isolated_model_is_described_as_one(hosting: HostingEnvironment) -> None:
    hosting.models.create_model(SCOPE, {**GOOD, "EnableNetworkIsolation": True})
    assert hosting.models.describe_model(SCOPE, {"ModelName": "Dogs"})["EnableNetworkIsolation"] is True


def test_the_prefix_of_a_multi_model_endpoint_may_be_empty_still(hosting: HostingEnvironment) -> None:
    settings = {"Mode": "MultiModel", "MultiModelConfig": {"ModelCacheSetting": "Disabled"}}
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/nothing-here/", **settings}
    hosting.models.create_model(SCOPE, {**GOOD, "PrimaryContainer": container})
    assert hosting.models.describe_model(SCOPE, {"ModelName": "Dogs"})["PrimaryContainer"] == container
