"""What is tried next when AWS refuses to launch a host."""

from infra.ec2.tries import Refusal, after, next_step, quota_requests, tries

SUBNETS = {"subnet-c": "us-east-1b", "subnet-b": "us-east-1b", "subnet-a": "us-east-1a", "subnet-e": "us-east-1e"}
SPOT = tries("spot", SUBNETS, ["us-east-1b", "us-east-1a", "us-east-1f"])


def test_spot_in_each_subnet_whose_zone_has_the_type_then_on_demand() -> None:
    assert [(one.market, one.subnet) for one in SPOT] == [
        ("spot", "subnet-a"),
        ("spot", "subnet-b"),
        ("spot", "subnet-c"),
        ("on-demand", "subnet-a"),
        ("on-demand", "subnet-b"),
        ("on-demand", "subnet-c"),
    ]
    assert {one.market for one in tries("on-demand", SUBNETS, SUBNETS.values())} == {"on-demand"}
    assert tries("spot", SUBNETS, ["us-east-1f"]) == ()


def test_a_zone_without_capacity_leaves_the_other_zones_and_the_other_market() -> None:
    assert after(SPOT[0], "InsufficientInstanceCapacity", SPOT[1:]) == SPOT[1:]
    assert after(SPOT[1], "InsufficientInstanceCapacity", SPOT[2:]) == SPOT[3:]


def test_a_subnet_without_addresses_leaves_the_other_subnet_of_the_zone() -> None:
    assert after(SPOT[1], "InsufficientFreeAddressesInSubnet", SPOT[2:]) == SPOT[2:]


def test_a_quota_of_spot_leaves_on_demand() -> None:
    assert after(SPOT[0], "MaxSpotInstanceCountExceeded", SPOT[1:]) == SPOT[3:]
    assert after(SPOT[3], "VcpuLimitExceeded", SPOT[4:]) == ()


def test_where_no_zone_has_room_it_is_tried_later_or_with_another_type() -> None:
    refusals = [Refusal(one, "InsufficientInstanceCapacity") for one in SPOT]
    assert next_step(refusals, "g4dn.xlarge") == (
        "Run this again in some minutes, or set instance_type of [ec2] to g5.xlarge or g6.xlarge or g4dn.2xlarge or "
        "m5.2xlarge."
    )
    assert quota_requests(refusals, "g4dn.xlarge", "us-east-1") == ()
    assert next_step(refusals, "x1.32xlarge") == "Run this again in some minutes."


def test_a_quota_of_0_is_asked_for_and_other_types_of_the_same_quota_are_not_named() -> None:
    refusals = [Refusal(SPOT[0], "MaxSpotInstanceCountExceeded"), Refusal(SPOT[3], "VcpuLimitExceeded")]
    assert next_step(refusals, "g4dn.xlarge") == (
        "Ask AWS for a higher quota, which may take days, or set instance_type of [ec2] to m5.2xlarge."
    )
    on_demand, spot = quota_requests(refusals, "g4dn.xlarge", "eu-west-1")
    assert on_demand == (
        "aws service-quotas request-service-quota-increase --service-code ec2 --region eu-west-1 "
        "--quota-code L-DB2E81BA --desired-value 4"
    )
    assert "--quota-code L-3819A6DF" in spot
    assert len(quota_requests(refusals[1:], "g4dn.xlarge", "eu-west-1")) == 1
    assert quota_requests(refusals, "x1.32xlarge", "eu-west-1") == ()


def test_spot_without_a_quota_and_on_demand_without_room_are_both_told() -> None:
    refusals = [Refusal(SPOT[0], "MaxSpotInstanceCountExceeded"), Refusal(SPOT[3], "InsufficientInstanceCapacity")]
    step = next_step(refusals, "g5.xlarge")
    assert step.startswith("Run this again in some minutes, or ask AWS for a higher quota, which may take days, or set")
