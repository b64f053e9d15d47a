"""Repositories: what is checked, and what is set."""

from typing import Any

import pytest

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


def test_what_is_not_there_yet_is_named(environment: EcrEnvironment) -> None:
    kms = {"encryptionConfiguration": {"encryptionType": "KMS"}}
    assert environment.refused("create_repository", repositoryName="cats", **kms) == "NotImplementedException"
    assert environment.refused("describe_repositories", registryId="999999999999") == "NotImplementedException"


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
