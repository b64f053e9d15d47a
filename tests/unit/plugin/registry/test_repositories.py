"""Repositories: what is checked, and what is set."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from tests.unit.plugin.registry.ecr_environment import EcrEnvironment, manifest

DOGS = {"repositoryName": "dogs"}
EXCLUDE = [{"filterType": "WILDCARD", "filter": "latest"}]


@pytest.mark.parametrize(
    ("rule", "moves"),
    [
        ({"imageTagMutability": "MUTABLE"}, {"v1": True, "latest": True}),
        ({"imageTagMutability": "IMMUTABLE"}, {"v1": False, "latest": False}),
        (
            {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": EXCLUDE},
            {"v1": False, "latest": True},
        ),
        (
            {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", "imageTagMutabilityExclusionFilters": EXCLUDE},
            {"v1": True, "latest": False},
        ),
    ],
)
def test_which_tags_move(environment: EcrEnvironment, rule: dict[str, Any], moves: dict[str, bool]) -> None:
    assert environment.call("put_image_tag_mutability", **DOGS, **rule) == {
        "registryId": "123456789012",
        **DOGS,
        **rule,
    }
    for tag, may_move in moves.items():
        environment.put(manifest(1), tag)
        again = {**DOGS, "imageManifest": manifest(2), "imageTag": tag}
        if may_move:
            environment.call("put_image", **again)
        else:
            assert environment.refused("put_image", **again) == "ImageTagAlreadyExistsException"


def test_filters_need_their_rule(environment: EcrEnvironment) -> None:
    request = {**DOGS, "imageTagMutability": "MUTABLE", "imageTagMutabilityExclusionFilters": EXCLUDE}
    assert environment.refused("put_image_tag_mutability", **request) == "InvalidParameterException"
    request = {"repositoryName": "cats", "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"}
    assert environment.refused("create_repository", **request) == "InvalidParameterException"


def test_filters_and_their_rule_are_named_as_ecr_does(environment: EcrEnvironment) -> None:
    with pytest.raises(ApiError) as caught:
        environment.call("put_image_tag_mutability", **DOGS, imageTagMutability="IMMUTABLE_WITH_EXCLUSION")
    assert caught.value.message == (
        "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
        "'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as IMMUTABLE_WITH_EXCLUSION'"
    )


@pytest.mark.parametrize("kind", ["KMS", "KMS_DSSE"])
def test_a_repository_keeps_its_kms_settings(environment: EcrEnvironment, kind: str) -> None:
    own = {"encryptionType": kind, "kmsKey": "alias/mine"}
    environment.call("create_repository", repositoryName="own", encryptionConfiguration=own)
    answer = environment.call(
        "create_repository", repositoryName="aws", encryptionConfiguration={"encryptionType": kind}
    )
    key = answer["repository"]["encryptionConfiguration"]["kmsKey"]
    assert key.startswith("arn:aws:kms:eu-west-1:123456789012:key/")
    found = environment.call("describe_repositories", repositoryNames=["own", "aws"])["repositories"]
    assert [item["encryptionConfiguration"] for item in found] == [own, {"encryptionType": kind, "kmsKey": key}]
    wrong = {"encryptionType": "AES256", "kmsKey": "alias/mine"}
    refused = environment.refused("create_repository", repositoryName="no", encryptionConfiguration=wrong)
    assert refused == "InvalidParameterException"


def test_the_registry_of_another_account(environment: EcrEnvironment) -> None:
    other = {"registryId": "999999999999"}
    assert environment.refused("describe_repositories", **other) == "NotImplementedException"
    for operation in ("list_images", "get_lifecycle_policy", "delete_repository"):
        with pytest.raises(ApiError) as caught:
            environment.call(operation, **DOGS, **other)
        assert caught.value.message == (
            "The repository with name 'dogs' does not exist in the registry with id '999999999999'"
        )
    own = environment.call("describe_repositories", repositoryNames=["dogs"], registryId="123456789012")
    assert [item["registryId"] for item in own["repositories"]] == ["123456789012"]


def test_tag_keys_of_aws_s_own_are_refused(environment: EcrEnvironment) -> None:
    tags = {"tags": [{"Key": "aws:mine", "Value": "1"}]}
    arn = "arn:aws:ecr:eu-west-1:123456789012:repository/dogs"
    for refused in (
        environment.refused("create_repository", repositoryName="cats", **tags),
        environment.refused("tag_resource", resourceArn=arn, **tags),
    ):
        assert refused == "InvalidTagParameterException"
    assert environment.refused("describe_repositories", repositoryNames=["cats"]) == "RepositoryNotFoundException"


def test_a_resource_has_fifty_tags_at_most(environment: EcrEnvironment) -> None:
    arn = "arn:aws:ecr:eu-west-1:123456789012:repository/dogs"
    many = [{"Key": str(number), "Value": ""} for number in range(51)]
    assert environment.refused("tag_resource", resourceArn=arn, tags=many) == "TooManyTagsException"
    assert environment.refused("list_tags_for_resource", resourceArn=arn + "x") == "RepositoryNotFoundException"
    assert environment.refused("list_tags_for_resource", resourceArn="arn:x") == "InvalidParameterException"


@pytest.mark.parametrize(
    "text",
    ["", "[" * 10_000, "[]", "{}", '{"Statement": []}', '{"Statement": [{"Effect": "Allow"}]}', '{"Statement": 1}'],
)
def test_a_policy_must_look_like_one(environment: EcrEnvironment, text: str) -> None:
    assert environment.refused("set_repository_policy", **DOGS, policyText=text) == "InvalidParameterException"
