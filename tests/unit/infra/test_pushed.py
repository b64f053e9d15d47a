"""Which images of the registry a deployment runs."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra import commit, pushed
from infra.clients import Clients
from infra.errors import StepFailed
from infra.manifests import MEDIA_TYPES
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def image(digest: str, *layers: str) -> dict[str, Any]:
    manifest = {"config": {"digest": digest}, "layers": [{"digest": layer} for layer in layers]}
    return {"imageId": {"imageDigest": digest}, "imageManifest": json.dumps(manifest)}


def clients(**repositories: dict[str, dict[str, Any]]) -> Clients:
    """Those of an account whose registry has these images, by repository and tag."""

    def batch_get_image(**request: Any) -> dict[str, Any]:
        there = repositories.get(request["repositoryName"].removeprefix("stagemaker/"))
        if there is None:
            raise missing("RepositoryNotFoundException")
        found = [there[one["imageTag"]] for one in request["imageIds"] if one["imageTag"] in there]
        return {"images": found, "failures": []}

    def describe_images(**request: Any) -> dict[str, Any]:
        there = repositories[request["repositoryName"].removeprefix("stagemaker/")]
        (wanted,) = request["imageIds"]
        return {"imageDetails": [{"imageTags": [tag for tag, one in there.items() if one["imageId"] == wanted]}]}

    ecr = FakeClient({"batch_get_image": batch_get_image, "describe_images": describe_images})
    return replace(fake_clients(ecr=ecr), region="eu-west-1")


def test_an_image_is_named_by_its_digest() -> None:
    here = clients(trainer={"abc1234": image("sha256:1", "a")}, serve={"abc1234": image("sha256:2", "b")})
    found = pushed.of_registry(here, "abc1234")
    assert [one.reference for one in found.values()] == [
        f"{HOST}/stagemaker/trainer@sha256:1",
        f"{HOST}/stagemaker/serve@sha256:2",
    ]
    pushed.check(found, here.ecr, "eu-west-1")
    asked = [request["acceptedMediaTypes"] for _, request in here.ecr.calls]
    assert asked == [list(MEDIA_TYPES)] * 2


def test_without_a_tag_it_is_that_of_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "head", lambda: "abc1234")
    found = pushed.of_registry(clients(trainer={"abc1234": image("sha256:1", "a")}), None)
    assert found["trainer"].is_there


def test_a_folder_without_a_commit_needs_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "head", lambda: None)
    with pytest.raises(StepFailed, match="has no git commit"):
        pushed.of_registry(clients(), None)


def test_other_labels_are_the_same_content_and_other_layers_are_not() -> None:
    tags = {"one": image("sha256:1", "a", "b"), "two": image("sha256:2", "a", "b"), "three": image("sha256:3", "a")}
    here = clients(trainer=tags, serve=tags)
    one, two, three = (pushed.of_registry(here, tag)["trainer"] for tag in tags)
    assert one.reference != two.reference
    assert one.content == two.content
    assert one.content != three.content


def test_each_that_is_missing_is_named_with_the_command_and_with_what_there_is() -> None:
    here = clients(trainer={"old1234": image("sha256:1", "a"), "latest": image("sha256:1", "a")})
    with pytest.raises(StepFailed) as caught:
        pushed.check(pushed.of_registry(here, "new1234"), here.ecr, "eu-west-1")
    assert caught.value.reason == (
        f"The registry lacks {HOST}/stagemaker/trainer:new1234 and {HOST}/stagemaker/serve:new1234."
    )
    assert "make push TARGET=aws" in caught.value.next_step
    assert caught.value.next_step.endswith("Or deploy what was pushed last: IMAGE_TAG=old1234.")


def test_where_nothing_was_ever_pushed_only_the_command_is_told() -> None:
    here = clients()
    with pytest.raises(StepFailed) as caught:
        pushed.check(pushed.of_registry(here, "new1234"), here.ecr, "eu-west-1")
    assert "IMAGE_TAG" not in caught.value.next_step
