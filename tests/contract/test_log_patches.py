"""LocalStack's CloudWatch Logs: how long its lists take, how much it keeps, and the keys of its groups."""

import time
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.logs.models import LogsBackend, LogStream

from stagemaker.adapters.log_patches import KeptEvents, ShallowCopy
from stagemaker.aws.log_stream import Amount
from tests.contract.gateway import Gateway
from tests.contract.memory import memory_grows_less_than

GROUP = "/stagemaker/many"


def test_groups_are_listed_without_a_copy_of_their_events(gateway: Gateway) -> None:
    logs, now_ms = gateway.client("logs"), int(time.time() * 1000)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="a")
    events = [{"timestamp": now_ms, "message": "a line"} for _ in range(10_000)]
    for _ in range(10):
        logs.put_log_events(logGroupName=GROUP, logStreamName="a", logEvents=events)
    with memory_grows_less_than(20, gateway.pid):
        for call in (logs.describe_log_groups, logs.list_log_groups):
            found = call(**{"logGroupNamePattern": GROUP})["logGroups"]
            assert [group["logGroupName"] for group in found] == [GROUP]
    assert logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]["storedBytes"] == 600_000
    logs.delete_log_group(logGroupName=GROUP)


def test_a_log_group_gets_another_key_and_none(gateway: Gateway) -> None:
    logs, group = gateway.client("logs"), {"logGroupName": "/stagemaker/with-key"}
    keys = [f"arn:aws:kms:us-east-1:000000000000:key/{number}234abcd-12ab-34cd-56ef-1234567890ab" for number in "12"]

    def key() -> Any:
        (found,) = logs.describe_log_groups(logGroupNamePrefix=group["logGroupName"])["logGroups"]
        return found.get("kmsKeyId")

    with pytest.raises(logs.exceptions.ResourceNotFoundException, match="log group does not exist"):
        logs.associate_kms_key(**group, kmsKeyId=keys[0])
    logs.create_log_group(**group, kmsKeyId=keys[0])
    assert key() == keys[0]
    logs.associate_kms_key(**group, kmsKeyId=keys[1])
    assert key() == keys[1]
    logs.disassociate_kms_key(**group)
    assert key() is None
    logs.delete_log_group(**group)


def test_the_results_of_queries_get_no_key(gateway: Gateway) -> None:
    logs, results = gateway.client("logs"), "arn:aws:logs:us-east-1:000000000000:query-result:*"
    for call in (partial(logs.associate_kms_key, kmsKeyId="arn:aws:kms:k"), logs.disassociate_kms_key):
        with pytest.raises(ClientError) as refused:
            call(resourceIdentifier=results)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_a_copy_is_one_of_the_dictionary_only() -> None:
    value: dict[str, list[int]] = {"a": []}
    copied = ShallowCopy.deepcopy(value)
    assert copied is not value
    assert copied["a"] is value["a"]


class Streams:
    """Some of moto's, by their names, with at most `lines` events or `characters` in all."""

    def __init__(self, lines: int, characters: int) -> None:
        backend: Any = LogsBackend("eu-west-1", "000000000000")
        backend.create_log_group("group", {})
        for name in "abc":
            backend.create_log_stream("group", name)
        self.all: dict[str, LogStream] = backend.groups["group"].streams
        self.kept = KeptEvents(lambda: self.all.values(), Amount(lines, characters))

    def put(self, stream: str, *messages: str) -> None:
        events: list[dict[str, Any]] = [{"timestamp": 1, "message": message} for message in messages]
        self.all[stream].put_log_events(events)
        self.kept.added(events)

    def messages(self, stream: str) -> list[str]:
        return [event.message for event in self.all[stream].events]


def test_the_fullest_stream_loses_its_older_half() -> None:
    streams = Streams(100, 1 << 20)
    streams.put("a", *(f"a{number}" for number in range(9)))
    streams.put("b", *(f"b{number}" for number in range(90)))
    assert len(streams.messages("b")) == 90
    streams.put("a", "a9")
    assert streams.messages("a") == [f"a{number}" for number in range(10)]
    assert streams.messages("b") == [f"b{number}" for number in range(45, 90)]
    assert streams.all["b"].stored_bytes == 45 * 3


def test_the_characters_have_a_limit_too() -> None:
    streams = Streams(100, 1000)
    streams.put("a", "x" * 300)
    streams.put("b", "y" * 900)
    assert streams.messages("a") == ["x" * 300]
    assert streams.messages("b") == []


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_whatever_comes_it_stays_below_the_limit(size: int) -> None:
    streams = Streams(1000, 1 << 30)
    for number in range(3000 // size):
        streams.put("abc"[number % 3], *("line" for _ in range(size)))
        assert sum(len(streams.messages(name)) for name in "abc") < 1000


def test_what_was_deleted_counts_no_more() -> None:
    streams = Streams(100, 1 << 20)
    streams.put("a", *("line" for _ in range(70)))
    del streams.all["a"]
    streams.put("b", *("line" for _ in range(70)))
    assert len(streams.messages("b")) == 70
