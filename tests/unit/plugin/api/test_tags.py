"""Tags of any kind of record, by ARN."""

from typing import Any

import pytest

from stagemaker.api.tags import Tags, tag_list
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT, TRAINING_JOB
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import MemoryStore
from tests.unit.plugin.fakes import SCOPE

ENDPOINT_A, JOB_A = Ref(SCOPE, ENDPOINT, "a"), Ref(SCOPE, TRAINING_JOB, "a")
ARN = ENDPOINT_A.arn


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.put(ENDPOINT_A, {"EndpointArn": ARN, "Tags": [tag("team", "dogs")]})
    made.put(JOB_A, {"TrainingJobArn": JOB_A.arn})
    return made


def test_a_tag_is_added_changed_and_removed(store: MemoryStore) -> None:
    tags = Tags(store)
    added = tags.add_tags(SCOPE, {"ResourceArn": ARN, "Tags": [tag("team", "cats"), tag("cost", "1")]})
    assert added == {"Tags": [tag("team", "cats"), tag("cost", "1")]} == tags.list_tags(SCOPE, {"ResourceArn": ARN})
    assert tags.delete_tags(SCOPE, {"ResourceArn": ARN, "TagKeys": ["team", "never"]}) == {}
    assert tags.list_tags(SCOPE, {"ResourceArn": ARN}) == {"Tags": [tag("cost", "1")]}


def test_a_record_without_tags_has_none(store: MemoryStore) -> None:
    assert Tags(store).list_tags(SCOPE, {"ResourceArn": SCOPE.arn("sagemaker", "training-job/a")}) == {"Tags": []}


@pytest.mark.parametrize("resource", ["endpoint/b", "model/a", "nothing"])
def test_a_resource_that_is_not_there_is_named(store: MemoryStore, resource: str) -> None:
    with pytest.raises(ApiError, match=f'Could not find resource ".*{resource}"'):
        Tags(store).list_tags(SCOPE, {"ResourceArn": SCOPE.arn("sagemaker", resource)})


def test_another_account_s_resource_is_not_there(store: MemoryStore) -> None:
    with pytest.raises(ApiError, match="Could not find"):
        Tags(store).list_tags(Scope("210987654321", SCOPE.region), {"ResourceArn": ARN})


def test_more_than_fifty_tags_are_refused(store: MemoryStore) -> None:
    with pytest.raises(ApiError, match="at most 50"):
        Tags(store).add_tags(SCOPE, {"ResourceArn": ARN, "Tags": [tag(str(i), "") for i in range(50)]})


@pytest.mark.parametrize(("given", "kept"), [({}, []), ({"Tags": [tag("a", "b")]}, [tag("a", "b")])])
def test_tags_of_a_create_request(given: dict[str, Any], kept: list[dict[str, str]]) -> None:
    assert tag_list(given) == kept


def test_a_key_given_twice_is_refused() -> None:
    with pytest.raises(ApiError, match="same key"):
        tag_list({"Tags": [tag("a", "b"), tag("a", "c")]})


@pytest.mark.parametrize("key", ["aws:cloudformation:stack-name", "AWS:x", "aws:"])
def test_keys_of_aws_s_own_are_refused(store: MemoryStore, key: str) -> None:
    for call in (tag_list, lambda request: Tags(store).add_tags(SCOPE, {"ResourceArn": ARN, **request})):
        with pytest.raises(ApiError, match="aws: prefixed tag key names are not allowed") as caught:
            call({"Tags": [tag("mine", "1"), tag(key, "1")]})
        assert caught.value.code == "ValidationException"
    assert tag_list({"Tags": [tag("awsome", "1")]})
