"""An image's name to what the engine pulls."""

import pytest

from stagemaker.core.refs import Scope
from stagemaker.registry.lookup import DEFAULT_SCOPE
from stagemaker.runtime.contract import ImageRefused
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.registry.ecr_environment import INDEX, OCI, EcrEnvironment, index, manifest

AWS = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def test_names_of_both_forms_by_tag_and_digest(environment: EcrEnvironment) -> None:
    assert environment.ecr.registry
    digest, latest = environment.put(manifest(1), "v1"), environment.put(manifest(2), "latest")
    for host in (AWS, "localhost:0"):
        for name, expected in ((":v1", digest), (f"@{digest}", digest), (f":v1@{digest}", digest), ("", latest)):
            pull = environment.ecr.registry.find(f"{host}/dogs{name}")
            assert pull
            assert (pull.reference, pull.user) == (f"localhost:0/dogs@{expected}", "AWS")


def test_the_media_type_of_what_a_name_means(environment: EcrEnvironment) -> None:
    digest = environment.put(manifest(1), "v1")
    kind = {"imageManifestMediaType": INDEX, "imageTag": "both"}
    environment.call("put_image", repositoryName="dogs", imageManifest=index(digest), **kind)
    names = ("dogs:v1", f"dogs@{digest}", "dogs:both")
    assert [environment.ecr.media_type(f"{AWS}/{name}") for name in names] == [OCI, OCI, INDEX]
    assert environment.ecr.media_type("stagemaker/serve:latest") is None
    with pytest.raises(ImageRefused):
        environment.ecr.media_type(f"{AWS}/dogs:v2")


def test_other_names_are_none_of_ours(environment: EcrEnvironment) -> None:
    assert environment.ecr.registry
    pulled = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1"  # a Deep Learning Container of AWS
    others = ("stagemaker/trainer:latest", "dogs", "localhost:1/dogs", "ghcr.io/a/b", f"x{AWS}/dogs", "")
    for name in (*others, pulled):
        assert environment.ecr.registry.find(name) is None


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
def test_what_was_not_pushed_is_refused(environment: EcrEnvironment, name: str, message: str) -> None:
    assert environment.ecr.registry
    environment.put(manifest(1), "v1")
    with pytest.raises(ImageRefused, match=message):
        environment.ecr.registry.find(name)


def test_the_default_account_has_the_registry_s_names_before_it_has_a_repository(environment: EcrEnvironment) -> None:
    assert environment.ecr.registry
    name = f"{DEFAULT_SCOPE.account}.dkr.ecr.us-east-1.amazonaws.com/dogs:v1"
    with pytest.raises(ImageRefused) as caught:
        environment.ecr.registry.find(name)
    assert caught.value.message == (
        "Cannot find repository: dogs in registry ID: 000000000000 (us-east-1). Please check if your ECR repository "
        "exists. Stagemaker: create it with CreateRepository, and push the image to localhost:0/dogs (docker push "
        "to a name of amazonaws.com goes to AWS)."
    )


def test_the_default_account_and_region_come_first(environment: EcrEnvironment) -> None:
    assert environment.ecr.registry
    environment.put(manifest(1), "v1")
    environment.ecr.repositories.create_repository(DEFAULT_SCOPE, {"repositoryName": "dogs"})
    with pytest.raises(ImageRefused):
        environment.ecr.registry.find("localhost:0/dogs:v1")
    pull = environment.ecr.registry.find(f"{SCOPE.account}.dkr.ecr.{SCOPE.region}.amazonaws.com/dogs:v1")
    assert pull


def test_a_name_of_another_partition_ends_as_its_region_says(environment: EcrEnvironment) -> None:
    assert environment.ecr.registry
    china = Scope(SCOPE.account, "cn-north-1")
    environment.ecr.repositories.create_repository(china, {"repositoryName": "dogs"})
    with pytest.raises(ImageRefused, match=r"Requested image .*cn/dogs:v1 not found"):
        environment.ecr.registry.find(f"{SCOPE.account}.dkr.ecr.cn-north-1.amazonaws.com.cn/dogs:v1")
    for host in ("cn-north-1.amazonaws.com", "eu-west-1.amazonaws.com.cn", "eu-west-1.example.com"):
        assert environment.ecr.registry.find(f"{SCOPE.account}.dkr.ecr.{host}/dogs:v1") is None
