"""Images and tags: what the operations answer and change."""

import json
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.registry.manifest_plan import read_manifest
from tests.unit.plugin.registry.ecr_environment import INDEX, OCI, EcrEnvironment, index, manifest

DOGS = {"repositoryName": "dogs"}


def tags(environment: EcrEnvironment) -> list[str]:
    return [item.get("imageTag", "") for item in environment.call("list_images", **DOGS)["imageIds"]]


def test_an_image_is_described(environment: EcrEnvironment) -> None:
    digest = environment.put(manifest(1, size=500), "v1")
    environment.now += 60
    environment.put(manifest(1, size=500), "v0")
    assert environment.call("describe_images", **DOGS)["imageDetails"] == [
        {
            "registryId": "123456789012",
            "repositoryName": "dogs",
            "imageDigest": digest,
            "imageTags": ["v0", "v1"],
            "imageSizeInBytes": 510,
            "imagePushedAt": 1_000_000.0,
            "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactMediaType": "application/vnd.oci.image.config.v1+json",
        }
    ]


def test_the_service_gets_the_manifest_in_a_place_of_the_account_and_region(environment: EcrEnvironment) -> None:
    digest = environment.put(manifest(1), "v1")
    assert environment.service
    assert environment.service.content == {f"/v2/123456789012/eu-west-1/dogs/manifests/{digest}": manifest(1).encode()}


def test_a_tag_moves_to_the_next_image(environment: EcrEnvironment) -> None:
    first, second = environment.put(manifest(1), "v1"), environment.put(manifest(2), "v1")
    found = environment.call("describe_images", **DOGS)["imageDetails"]
    assert {item["imageDigest"]: item.get("imageTags") for item in found} == {first: None, second: ["v1"]}
    untagged = environment.call("list_images", **DOGS, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": first}]


def test_pages_hold_everything_once(environment: EcrEnvironment) -> None:
    digests = {environment.put(manifest(number)) for number in range(1, 6)}
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = environment.call("describe_images", **DOGS, maxResults=2, **token)
        seen += [item["imageDigest"] for item in answer["imageDetails"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert seen == sorted(digests)
    assert environment.refused("list_images", **DOGS, nextToken="\u00e9") == "InvalidParameterException"


def test_an_image_goes_with_its_last_tag(environment: EcrEnvironment) -> None:
    digest = environment.put(manifest(1), "a")
    environment.put(manifest(1), "b")
    environment.call("batch_delete_image", **DOGS, imageIds=[{"imageTag": "a"}])
    assert tags(environment) == ["b"]
    gone = environment.call("batch_delete_image", **DOGS, imageIds=[{"imageTag": "b", "imageDigest": digest}])
    assert gone == {"imageIds": [{"imageDigest": digest, "imageTag": "b"}], "failures": []}
    assert environment.service
    assert (tags(environment), environment.service.content) == ([], {})


def test_an_image_that_an_index_names_stays(environment: EcrEnvironment) -> None:
    children = [environment.put(manifest(number, size=number * 1000)) for number in (1, 2)]
    parent = environment.call("put_image", **DOGS, imageManifest=index(*children), imageManifestMediaType=INDEX)[
        "image"
    ]
    answer = environment.call("batch_delete_image", **DOGS, imageIds=[{"imageDigest": children[0]}])
    assert [item["failureCode"] for item in answer["failures"]] == ["ImageReferencedByManifestList"]
    digest = parent["imageId"]["imageDigest"]
    found = environment.call("describe_images", **DOGS, imageIds=[{"imageDigest": digest}])["imageDetails"][0]
    assert found["imageSizeInBytes"] == 2010  # of its greatest image
    for each in (digest, *children):
        environment.call("batch_delete_image", **DOGS, imageIds=[{"imageDigest": each}])
    assert tags(environment) == []
    missing = {**DOGS, "imageManifest": index("sha256:" + "9" * 64)}
    assert environment.refused("put_image", **missing) == "ReferencedImagesNotFoundException"


def test_failures_say_what_is_wrong_with_an_id(environment: EcrEnvironment) -> None:
    first, second = environment.put(manifest(1), "v1"), environment.put(manifest(2), "v2")
    ids = [{}, {"imageDigest": "x"}, {"imageTag": "-"}, {"imageTag": "v1", "imageDigest": second}, {"imageTag": "v3"}]
    answer = environment.call("batch_get_image", **DOGS, imageIds=[*ids, {"imageDigest": first}])
    codes = [
        "MissingDigestAndTag",
        "InvalidImageDigest",
        "InvalidImageTag",
        "ImageTagDoesNotMatchDigest",
        "ImageNotFound",
    ]
    assert [item["failureCode"] for item in answer["failures"]] == codes
    assert [item["imageManifest"] for item in answer["images"]] == [manifest(1)]


def test_a_manifest_must_be_what_it_is_said_to_be(environment: EcrEnvironment) -> None:
    digest = read_manifest(manifest(1).encode(), None).digest
    put = {**DOGS, "imageManifest": manifest(1)}
    assert (
        environment.refused("put_image", **put, imageDigest="sha256:" + "0" * 64) == "ImageDigestDoesNotMatchException"
    )
    environment.call("put_image", **put, imageDigest=digest)
    assert environment.refused("put_image", **put) == "ImageAlreadyExistsException"
    assert environment.refused("put_image", **put, imageTag="a b") == "InvalidParameterException"
    assert environment.refused("put_image", **DOGS, imageManifest="{}") == "InvalidParameterException"


def test_a_manifest_without_a_media_type_needs_one_from_its_sender(environment: EcrEnvironment) -> None:
    text = json.dumps({key: value for key, value in json.loads(manifest(1)).items() if key != "mediaType"})
    with pytest.raises(ApiError) as caught:
        environment.call("put_image", **DOGS, imageManifest=text)
    assert (caught.value.code, caught.value.message) == (
        "InvalidParameterException",
        "image manifest mediatype not provided in manifest or parameter",
    )
    image = environment.call("put_image", **DOGS, imageManifest=text, imageManifestMediaType=OCI)["image"]
    assert (image["imageManifestMediaType"], image["imageManifest"]) == (OCI, text)


def test_time_expires_images(environment: EcrEnvironment) -> None:
    environment.put(manifest(1), "old")
    selection = '{"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 2}'
    text = '{"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": ' + selection + "}]}"
    environment.call("put_lifecycle_policy", **DOGS, lifecyclePolicyText=text)
    assert tags(environment) == ["old"]
    environment.now += 2 * 86_400 + 1
    assert tags(environment) == []
    assert environment.call("get_lifecycle_policy", **DOGS)["lastEvaluatedAt"] == environment.now


def test_when_the_service_is_down_nothing_changes(environment: EcrEnvironment) -> None:
    environment.put(manifest(1), "v1")
    assert environment.service
    environment.service.server_close()
    environment.service.shutdown()
    assert environment.refused("put_image", **DOGS, imageManifest=manifest(2), imageTag="v1") == "ServerException"
    assert environment.refused("batch_delete_image", **DOGS, imageIds=[{"imageTag": "v1"}]) == "ServerException"
    assert environment.refused("delete_repository", **DOGS, force=True) == "ServerException"
    assert tags(environment) == ["v1"]


def test_a_service_that_dies_during_a_deletion_leaves_what_it_has(environment: EcrEnvironment) -> None:
    children = [environment.put(manifest(number)) for number in (1, 2, 3)]
    put = {**DOGS, "imageManifest": index(*children), "imageManifestMediaType": INDEX}
    parent = environment.call("put_image", **put)["image"]["imageId"]["imageDigest"]
    assert environment.service
    environment.service.on_delete = environment.service.server_close
    assert environment.refused("delete_repository", **DOGS, force=True) == "ServerException"
    left = {path.rpartition("/")[2] for path in environment.service.content}
    assert left == {item["imageDigest"] for item in environment.call("list_images", **DOGS)["imageIds"]} == {*children}
    assert parent not in left


def test_a_manifest_is_not_asked_for_in_the_middle_of_its_deletion(environment: EcrEnvironment) -> None:
    digest = environment.put(manifest(1), "a")
    name = {**DOGS, "imageIds": [{"imageDigest": digest}]}
    assert environment.service
    with ThreadPoolExecutor() as pool:
        asked: list[Future[Any]] = []

        def ask() -> None:
            asked.append(pool.submit(environment.call, "batch_get_image", **name))
            wait(asked, timeout=0.3)  # it does not end before the deletion does

        environment.service.on_delete = ask
        environment.call("batch_delete_image", **name)
        assert [item["failureCode"] for item in asked[0].result()["failures"]] == ["ImageNotFound"]


def test_without_a_registry_repositories_are_kept_and_images_refused() -> None:
    environment = EcrEnvironment(None)
    made = environment.call("create_repository", **DOGS)["repository"]
    assert made["repositoryUri"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dogs"
    assert environment.refused("get_authorization_token") == "NotImplementedException"
    assert environment.refused("describe_images", **DOGS) == "NotImplementedException"
    assert environment.refused("describe_images", repositoryName="cats") == "RepositoryNotFoundException"
    assert environment.ecr.registry is None
    environment.call("delete_repository", **DOGS)
