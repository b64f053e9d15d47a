"""An image's name to what the engine pulls."""

import pytest

from stagemaker.registry.lookup import DEFAULT_SCOPE
from stagemaker.runtime.contract import ImageRefused
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.registry.ecr_world import World, manifest

AWS = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def test_names_of_both_forms_by_tag_and_digest(world: World) -> None:
    assert world.ecr.registry
    digest, latest = world.put(manifest(1), "v1"), world.put(manifest(2), "latest")
    for host in (AWS, "localhost:0"):
        for name, expected in ((":v1", digest), (f"@{digest}", digest), (f":v1@{digest}", digest), ("", latest)):
            pull = world.ecr.registry.find(f"{host}/dogs{name}")
            assert pull
            assert (pull.reference, pull.user) == (f"localhost:0/dogs@{expected}", "AWS")


def test_other_names_are_none_of_ours(world: World) -> None:
    assert world.ecr.registry
    for name in ("stagemaker/trainer:latest", "dogs", "localhost:1/dogs", "ghcr.io/a/b", "x" + AWS + "/dogs", ""):
        assert world.ecr.registry.find(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"{AWS}/cats:v1", "Cannot find repository: cats in registry ID: 123456789012"),
        ("localhost:0/cats", "Cannot find repository: cats in registry ID: 000000000000"),
        (f"{AWS.replace('eu-west-1', 'us-east-1')}/dogs:v1", "Cannot find repository: dogs"),
        (f"{AWS}/dogs:v2", "Requested image .*dogs:v2 not found"),
        (f"{AWS}/dogs@sha256:{'0' * 64}", "not found"),
        (f"{AWS}/../dogs:v1", "Invalid image name"),
        (f"{AWS}/", "Invalid image name"),
    ],
)
def test_what_was_not_pushed_is_refused(world: World, name: str, message: str) -> None:
    assert world.ecr.registry
    world.put(manifest(1), "v1")
    with pytest.raises(ImageRefused, match=message):
        world.ecr.registry.find(name)


def test_the_default_account_and_region_come_first(world: World) -> None:
    assert world.ecr.registry
    world.put(manifest(1), "v1")
    world.ecr.repositories.create_repository(DEFAULT_SCOPE, {"repositoryName": "dogs"})
    with pytest.raises(ImageRefused):
        world.ecr.registry.find("localhost:0/dogs:v1")
    pull = world.ecr.registry.find(f"{SCOPE.account}.dkr.ecr.{SCOPE.region}.amazonaws.com/dogs:v1")
    assert pull
