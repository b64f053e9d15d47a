"""Lifecycle policies and pushes: what expires when, and what comes between the manifests of one push."""

import json
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest

from stagemaker.registry.catalog import UNTAGGED_GRACE_S, repository_ref
from stagemaker.registry.manifest_plan import read_manifest
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.registry.ecr_environment import INDEX, EcrEnvironment, index, manifest

DOGS = {"repositoryName": "dogs"}
DAY_S = 86_400
ONE = {"countType": "imageCountMoreThan", "countNumber": 1}
TWO_DAYS = {"countType": "sinceImagePushed", "countUnit": "days", "countNumber": 2}


def policy(status: str, **selection: Any) -> dict[str, str]:
    """A request with a policy of one rule."""
    rule = {"rulePriority": 1, "action": {"type": "expire"}, "selection": {"tagStatus": status, **selection}}
    return {**DOGS, "lifecyclePolicyText": json.dumps({"rules": [rule]})}


def digests(environment: EcrEnvironment) -> set[str]:
    return {item["imageDigest"] for item in environment.call("list_images", **DOGS)["imageIds"]}


@pytest.mark.parametrize("status", ["any", "untagged"])
def test_the_images_of_an_index_wait_for_it(environment: EcrEnvironment, status: str) -> None:
    environment.call("put_lifecycle_policy", **policy(status, **ONE))
    children = {environment.put(manifest(number)) for number in (1, 2)}
    named = {**DOGS, "imageManifest": index(*children), "imageManifestMediaType": INDEX, "imageTag": "v1"}
    parent = environment.call("put_image", **named)["image"]["imageId"]["imageDigest"]
    environment.now += DAY_S
    assert digests(environment) == {parent, *children}


def test_an_image_without_a_tag_expires_after_its_grace(environment: EcrEnvironment) -> None:
    environment.call("put_lifecycle_policy", **policy("untagged", **ONE))
    pushed = {environment.put(manifest(number)) for number in (1, 2, 3)}
    environment.now += UNTAGGED_GRACE_S - 1
    assert digests(environment) == pushed
    environment.call("start_lifecycle_policy_preview", **DOGS)
    assert environment.call("get_lifecycle_policy_preview", **DOGS)["previewResults"] == []
    environment.now += 1
    assert len(digests(environment)) == 1


def test_a_push_without_a_tag_expires_nothing(environment: EcrEnvironment) -> None:
    environment.call("put_lifecycle_policy", **policy("untagged", **TWO_DAYS))
    there = environment.put(manifest(1))
    environment.now += 3 * DAY_S
    catalog, dogs = environment.ecr.catalog, repository_ref(SCOPE, "dogs")
    catalog.push(dogs, manifest(1).encode(), None, None)
    child = catalog.push(dogs, manifest(2).encode(), None, None).digest
    parent = catalog.push(dogs, index(there, child).encode(), INDEX, "v1").digest
    assert digests(environment) == {there, child, parent}


@pytest.mark.parametrize("operation", ["batch_delete_image", "list_images"])
def test_a_push_waits_for_the_deletion_of_the_same_image(environment: EcrEnvironment, operation: str) -> None:
    """Where it does not, its manifest is in the registry and not in the record, or the other way round."""
    environment.put(manifest(1), "a")
    request: dict[str, Any] = DOGS
    if operation == "batch_delete_image":
        request = {**DOGS, "imageIds": [{"imageTag": "a"}]}
    else:
        environment.call("put_lifecycle_policy", **policy("any", **TWO_DAYS))
        environment.now += 3 * DAY_S
    assert environment.service
    with ThreadPoolExecutor() as pool:
        pushed: list[Future[str]] = []

        def push() -> None:
            pushed.append(pool.submit(environment.put, manifest(1), "b"))
            wait(pushed, timeout=0.3)  # it does not end before the deletion does

        environment.service.on_delete = push
        environment.call(operation, **request)
        digest = pushed[0].result()
    assert digest == read_manifest(manifest(1).encode(), None).digest
    assert environment.call("list_images", **DOGS)["imageIds"] == [{"imageDigest": digest, "imageTag": "b"}]
    assert [path.rpartition("/")[2] for path in environment.service.content] == [digest]


def test_a_repository_is_deleted_with_what_is_pushed_meanwhile_refused(environment: EcrEnvironment) -> None:
    environment.put(manifest(1), "a")
    assert environment.service
    with ThreadPoolExecutor() as pool:
        pushed: list[Future[str]] = []

        def push() -> None:
            pushed.append(pool.submit(environment.refused, "put_image", **DOGS, imageManifest=manifest(2)))
            wait(pushed, timeout=0.3)

        environment.service.on_delete = push
        environment.call("delete_repository", **DOGS, force=True)
        assert pushed[0].result() == "RepositoryNotFoundException"
    assert environment.service.content == {}


def test_a_policy_that_could_not_be_applied_is_there(environment: EcrEnvironment) -> None:
    for number, tag in enumerate(("a", "b")):
        environment.put(manifest(number), tag)
    assert environment.service
    environment.service.server_close()
    environment.service.shutdown()
    assert environment.refused("put_lifecycle_policy", **policy("any", **ONE)) == "ServerException"
    assert environment.call("get_lifecycle_policy", **DOGS)["lastEvaluatedAt"] == environment.now
    assert "lifecyclePolicyText" in environment.call("delete_lifecycle_policy", **DOGS)
    assert environment.refused("get_lifecycle_policy", **DOGS) == "LifecyclePolicyNotFoundException"
