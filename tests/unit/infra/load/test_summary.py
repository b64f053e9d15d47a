"""The figures of a load, against those counted by hand."""

import json
from dataclasses import replace

import pytest

from infra.load.observe import Observation, Seen
from infra.load.summary import figures_of, instance_seconds, percentile
from tests.unit.infra.load.runs import a_run


def test_due_is_answered_and_failed_and_not_sent() -> None:
    found = figures_of(a_run())
    assert found["due"] == 100
    assert found["answered"] == 89
    assert found["failed"] == {"ModelError": 5, "Throttled": 5}
    assert found["not_sent"] == 1
    assert found["due"] == found["answered"] + sum(found["failed"].values()) + found["not_sent"]


def test_a_request_that_waited_counts_from_when_it_was_due() -> None:
    found = figures_of(a_run())
    assert found["latency_ms"] == {"p50": 10, "p95": 10, "p99": 2000, "max": 2000}
    assert found["latency_from_sent_ms"] == {"p50": 10, "p95": 10, "p99": 1000, "max": 1000}


def test_requests_lie_in_the_second_in_which_they_were_due() -> None:
    buckets = figures_of(a_run())["buckets"]
    assert [one["second"] for one in buckets] == list(range(10))
    assert [one["due"] for one in buckets] == [10] * 10
    assert buckets[5]["failed"] == {"ModelError": 5, "Throttled": 5}
    assert buckets[5]["latency_ms"] == {}
    assert (buckets[9]["not_sent"], buckets[9]["latency_ms"]["max"]) == (1, 2000)


@pytest.mark.parametrize(("ended_s", "length_s", "count"), [(120, 1, 120), (121, 2, 61), (1980, 20, 99), (0.5, 1, 1)])
def test_a_long_load_has_longer_buckets(ended_s: float, length_s: int, count: int) -> None:
    buckets = figures_of(replace(a_run(), ended_s=ended_s))["buckets"]
    assert (min(length_s, ended_s), len(buckets)) == (buckets[0]["seconds"], count)
    assert sum(one["seconds"] for one in buckets) == ended_s
    assert sum(one["due"] for one in buckets) == 100


def test_instances_count_for_as_long_as_they_serve() -> None:
    assert figures_of(a_run())["instance_seconds"] == 1 * 6 + 2 * 4
    seen = [Observation(0.0, "InService", 2, 2), Observation(12.0, "InService", 5, 5)]
    assert instance_seconds(seen, ended_s=10) == 20
    assert instance_seconds([], ended_s=10) == 0


def test_activities_have_the_second_of_the_load() -> None:
    scaled, not_scaled = figures_of(a_run())["activities"]
    assert (scaled["second"], scaled["took_s"], scaled["not_scaled"]) == (4, 2, "")
    assert (not_scaled["second"], not_scaled["took_s"], not_scaled["not_scaled"]) == (8, None, "AlreadyAtMaxCapacity")


def test_figures_are_json_also_of_a_load_without_requests() -> None:
    json.dumps(figures_of(a_run()))
    empty = figures_of(replace(a_run(), results=[], seen=Seen()))
    json.dumps(empty)
    assert (empty["due"], empty["latency_ms"], empty["instance_seconds"]) == (0, {}, 0)


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (95, 10), (99, 10), (1, 1)])
def test_percentiles_are_of_the_nearest_rank(percent: int, expected: float) -> None:
    assert percentile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], percent) == expected
