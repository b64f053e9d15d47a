"""Which objects a host gets, and in which order."""

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.jobs.sources import Source, s3_uri


def shares(source: Source, count: int, hosts: int, epoch: int = 0) -> list[list[int]]:
    return [list(source.positions(count, host, hosts, epoch)) for host in range(hosts)]


def test_without_a_seed_the_order_is_s3_s_in_every_epoch() -> None:
    assert shares(Source("s3://b"), 3, 2) == shares(Source("s3://b"), 3, 2, epoch=7) == [[0, 1, 2], [0, 1, 2]]


def test_shares_are_equal_up_to_one_and_have_everything_once() -> None:
    found = shares(Source("s3://b", sharded=True), 10, 3)
    assert found == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]
    assert shares(Source("s3://b", sharded=True), 1, 3) == [[0], [], []]


def test_a_seed_orders_all_hosts_alike_and_each_epoch_anew() -> None:
    source = Source("s3://b", seed=1)
    first, second = shares(source, 50, 2)
    assert first == second != list(range(50))
    assert sorted(first) == list(range(50))
    assert shares(source, 50, 2, epoch=1)[0] not in (first, list(range(50)))
    assert shares(Source("s3://b", seed=2), 50, 2)[0] != first
    assert shares(source, 50, 2)[0] == first


def test_the_order_of_a_seed_is_the_same_on_every_machine() -> None:
    assert list(Source("s3://b", seed=-5).positions(6, 0, 1, 3)) == [1, 5, 2, 0, 3, 4]


def test_shuffled_shares_change_hosts_between_epochs_and_never_overlap() -> None:
    source = Source("s3://b", sharded=True, seed=0)
    for epoch in range(5):
        found = [position for share in shares(source, 31, 4, epoch) for position in share]
        assert sorted(found) == list(range(31))
    assert sorted(shares(source, 31, 4, 0)[0]) != sorted(shares(source, 31, 4, 1)[0])


def test_uris() -> None:
    assert s3_uri("s3://b") == "s3://b"
    for bad in ("https://b/x", "s3://", "s3:///x"):
        with pytest.raises(ApiError, match="must be an S3 URI of the form s3://bucket/prefix"):
            s3_uri(bad)
