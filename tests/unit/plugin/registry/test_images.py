"""Images and tags: what the operations answer and change."""

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from stagemaker.registry.manifest_plan import read_manifest
from tests.unit.plugin.registry.ecr_world import INDEX, World, index, manifest

DOGS = {"repositoryName": "dogs"}


def tags(world: World) -> list[str]:
    return [item.get("imageTag", "") for item in world.call("list_images", **DOGS)["imageIds"]]


def test_an_image_is_described(world: World) -> None:
    digest = world.put(manifest(1, size=500), "v1")
    world.now += 60
    world.put(manifest(1, size=500), "v0")
    assert world.call("describe_images", **DOGS)["imageDetails"] == [
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


def test_the_service_gets_the_manifest_in_a_place_of_the_account_and_region(world: World) -> None:
    digest = world.put(manifest(1), "v1")
    assert world.service
    assert world.service.content == {f"/v2/123456789012/eu-west-1/dogs/manifests/{digest}": manifest(1).encode()}


def test_a_tag_moves_to_the_next_image(world: World) -> None:
    first, second = world.put(manifest(1), "v1"), world.put(manifest(2), "v1")
    found = world.call("describe_images", **DOGS)["imageDetails"]
    assert {item["imageDigest"]: item.get("imageTags") for item in found} == {first: None, second: ["v1"]}
    untagged = world.call("list_images", **DOGS, filter={"tagStatus": "UNTAGGED"})["imageIds"]
    assert untagged == [{"imageDigest": first}]


def test_pages_hold_everything_once(world: World) -> None:
    digests = {world.put(manifest(number)) for number in range(1, 6)}
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = world.call("describe_images", **DOGS, maxResults=2, **token)
        seen += [item["imageDigest"] for item in answer["imageDetails"]]
        if "nextToken" not in answer:
            break
        token = {"nextToken": answer["nextToken"]}
    assert seen == sorted(digests)
    assert world.refused("list_images", **DOGS, nextToken="\u00e9") == "InvalidParameterException"


def test_an_image_goes_with_its_last_tag(world: World) -> None:
    digest = world.put(manifest(1), "a")
    world.put(manifest(1), "b")
    world.call("batch_delete_image", **DOGS, imageIds=[{"imageTag": "a"}])
    assert tags(world) == ["b"]
    gone = world.call("batch_delete_image", **DOGS, imageIds=[{"imageTag": "b", "imageDigest": digest}])
    assert gone == {"imageIds": [{"imageDigest": digest, "imageTag": "b"}], "failures": []}
    assert world.service
    assert (tags(world), world.service.content) == ([], {})


def test_an_image_that_an_index_names_stays(world: World) -> None:
    children = [world.put(manifest(number, size=number * 1000)) for number in (1, 2)]
    parent = world.call("put_image", **DOGS, imageManifest=index(*children), imageManifestMediaType=INDEX)["image"]
    answer = world.call("batch_delete_image", **DOGS, imageIds=[{"imageDigest": children[0]}])
    assert [item["failureCode"] for item in answer["failures"]] == ["ImageReferencedByManifestList"]
    digest = parent["imageId"]["imageDigest"]
    found = world.call("describe_images", **DOGS, imageIds=[{"imageDigest": digest}])["imageDetails"][0]
    assert found["imageSizeInBytes"] == 2010  # of its greatest image
    for each in (digest, *children):
        world.call("batch_delete_image", **DOGS, imageIds=[{"imageDigest": each}])
    assert tags(world) == []
    missing = {**DOGS, "imageManifest": index("sha256:" + "9" * 64)}
    assert world.refused("put_image", **missing) == "ReferencedImagesNotFoundException"


def test_failures_say_what_is_wrong_with_an_id(world: World) -> None:
    first, second = world.put(manifest(1), "v1"), world.put(manifest(2), "v2")
    ids = [{}, {"imageDigest": "x"}, {"imageTag": "-"}, {"imageTag": "v1", "imageDigest": second}, {"imageTag": "v3"}]
    answer = world.call("batch_get_image", **DOGS, imageIds=[*ids, {"imageDigest": first}])
    codes = [
        "MissingDigestAndTag",
        "InvalidImageDigest",
        "InvalidImageTag",
        "ImageTagDoesNotMatchDigest",
        "ImageNotFound",
    ]
    assert [item["failureCode"] for item in answer["failures"]] == codes
    assert [item["imageManifest"] for item in answer["images"]] == [manifest(1)]


def test_a_manifest_must_be_what_it_is_said_to_be(world: World) -> None:
    digest = read_manifest(manifest(1).encode(), None).digest
    put = {**DOGS, "imageManifest": manifest(1)}
    assert world.refused("put_image", **put, imageDigest="sha256:" + "0" * 64) == "ImageDigestDoesNotMatchException"
    world.call("put_image", **put, imageDigest=digest)
    assert world.refused("put_image", **put) == "ImageAlreadyExistsException"
    assert world.refused("put_image", **put, imageTag="a b") == "InvalidParameterException"
    assert world.refused("put_image", **DOGS, imageManifest="{}") == "InvalidParameterException"


def test_time_expires_images(world: World) -> None:
    world.put(manifest(1), "old")
    selection = '{"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 2}'
    text = '{"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": ' + selection + "}]}"
    world.call("put_lifecycle_policy", **DOGS, lifecyclePolicyText=text)
    assert tags(world) == ["old"]
    world.now += 2 * 86_400 + 1
    assert tags(world) == []
    assert world.call("get_lifecycle_policy", **DOGS)["lastEvaluatedAt"] == world.now


def test_when_the_service_is_down_nothing_changes(world: World) -> None:
    world.put(manifest(1), "v1")
    assert world.service
    world.service.server_close()
    world.service.shutdown()
    assert world.refused("put_image", **DOGS, imageManifest=manifest(2), imageTag="v1") == "ServerException"
    assert world.refused("batch_delete_image", **DOGS, imageIds=[{"imageTag": "v1"}]) == "ServerException"
    assert world.refused("delete_repository", **DOGS, force=True) == "ServerException"
    assert tags(world) == ["v1"]


def test_a_service_that_dies_during_a_deletion_leaves_what_it_has(world: World) -> None:
    children = [world.put(manifest(number)) for number in (1, 2, 3)]
    put = {**DOGS, "imageManifest": index(*children), "imageManifestMediaType": INDEX}
    parent = world.call("put_image", **put)["image"]["imageId"]["imageDigest"]
    assert world.service
    world.service.on_delete = world.service.server_close
    assert world.refused("delete_repository", **DOGS, force=True) == "ServerException"
    left = {path.rpartition("/")[2] for path in world.service.content}
    assert left == {item["imageDigest"] for item in world.call("list_images", **DOGS)["imageIds"]} == {*children}
    assert parent not in left


def test_a_manifest_is_not_asked_for_in_the_middle_of_its_deletion(world: World) -> None:
    digest = world.put(manifest(1), "a")
    name = {**DOGS, "imageIds": [{"imageDigest": digest}]}
    assert world.service
    with ThreadPoolExecutor() as pool:
        asked: list[Future[Any]] = []

        def ask() -> None:
            asked.append(pool.submit(world.call, "batch_get_image", **name))
            wait(asked, timeout=0.3)  # it does not end before the deletion does

        world.service.on_delete = ask
        world.call("batch_delete_image", **name)
        assert [item["failureCode"] for item in asked[0].result()["failures"]] == ["ImageNotFound"]


def test_without_a_registry_repositories_are_kept_and_images_refused() -> None:
    world = World(None)
    made = world.call("create_repository", **DOGS)["repository"]
    assert made["repositoryUri"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dogs"
    assert world.refused("get_authorization_token") == "NotImplementedException"
    assert world.refused("describe_images", **DOGS) == "NotImplementedException"
    assert world.refused("describe_images", repositoryName="cats") == "RepositoryNotFoundException"
    assert world.ecr.registry is None
    world.call("delete_repository", **DOGS)
