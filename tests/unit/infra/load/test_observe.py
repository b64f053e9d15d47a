"""What an observer sees of an endpoint, also when AWS does not answer."""

import time
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from infra.load.observe import Observer, compression_in, short_name, variant_of
from tests.unit.infra.load.fakes import COMPRESSED, HIGH, LOW, VARIANT, FakeAws, activity

LIMIT_S = 60.0


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def observer(aws: FakeAws) -> Observer:
    return Observer(aws.services, VARIANT, lambda: 7.0, every_s=0.001)


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "m"}}, "Describe")


def test_instances_alarms_and_activities_are_seen() -> None:
    aws = FakeAws(instances=2)
    aws.policies = ["make-load"]
    aws.activities = [dict(activity(1))]
    one = observer(aws)
    one.start()
    aws.activities = [
        dict(activity(3, Description="none", NotScaledReasons=[{"Code": "AlreadyAtMaxCapacity"}])),
        dict(activity(2)),
        dict(activity(1)),
    ]
    wait_for(lambda: len(one.seen().activities) > 0)
    seen = one.stop(LIMIT_S)
    first = seen.observations[0]
    assert (first.at_s, first.status, first.current, first.desired) == (7.0, "InService", 1, 2)
    assert first.alarms == {HIGH: "OK", LOW: "OK"}
    assert {(found.id, found.not_scaled) for found in seen.activities} == {
        ("activity-2", ""),
        ("activity-3", "AlreadyAtMaxCapacity"),
    }
    assert seen.compressed == ""


@pytest.mark.parametrize("place", ["alarm", "activity"])
def test_compressed_time_is_said_once_it_is_known(place: str) -> None:
    aws = FakeAws()
    aws.policies = ["make-load"]
    one = observer(aws)
    one.start()
    if place == "alarm":
        aws.description = COMPRESSED
    else:
        aws.activities = [dict(activity(1, Details=COMPRESSED))]
    wait_for(lambda: one.seen().compressed != "")
    assert one.stop(LIMIT_S).compressed == "time is compressed 12 times: a minute of AWS takes 5 s"


def test_a_look_that_fails_is_counted_and_the_next_one_counts_again() -> None:
    aws = FakeAws()
    one = observer(aws)
    aws.sagemaker.answers["describe_endpoint"] = [error("ThrottlingException"), aws.sagemaker.describe_endpoint()]
    one.start()
    wait_for(lambda: len(one.seen().observations) > 0)
    seen = one.stop(LIMIT_S)
    assert seen.missed == 1
    assert "ThrottlingException" in seen.reason


def test_without_permission_for_scaling_instances_are_seen() -> None:
    aws = FakeAws()
    aws.autoscaling.answers["describe_scaling_activities"] = error("AccessDeniedException")
    one = observer(aws)
    one.start()
    wait_for(lambda: len(one.seen().observations) > 0)
    seen = one.stop(LIMIT_S)
    assert (seen.missed, seen.activities) == (0, ())
    assert "AccessDeniedException" in seen.reason


def test_an_observer_that_never_began_has_seen_nothing() -> None:
    assert observer(FakeAws()).stop(LIMIT_S).observations == ()


def test_the_factor_of_compressed_time() -> None:
    assert compression_in(COMPRESSED) == ("time is compressed 12 times: a minute of AWS takes 5 s", 12)
    assert compression_in("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy x.") == ("", 1)


def test_alarms_are_called_by_what_they_watch() -> None:
    assert [short_name(HIGH), short_name(LOW), short_name("mine")] == ["AlarmHigh", "AlarmLow", "mine"]


def test_a_variant_is_found_by_its_name() -> None:
    described = {"ProductionVariants": [{"VariantName": "a"}, {"VariantName": "b"}]}
    assert variant_of(described)["VariantName"] == "a"
    assert variant_of(described, "b")["VariantName"] == "b"
    with pytest.raises(LookupError):
        variant_of(described, "c")
