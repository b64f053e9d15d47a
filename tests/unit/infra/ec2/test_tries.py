"""What is tried next when AWS refuses to launch a host."""

from infra.ec2.tries import after, tries

SUBNETS = {"us-east-1a": "subnet-a", "us-east-1b": "subnet-b", "us-east-1e": "subnet-e"}
SPOT = tries("spot", SUBNETS, ["us-east-1b", "us-east-1a", "us-east-1f"])


def test_spot_in_each_zone_that_has_the_type_then_on_demand() -> None:
    assert [(one.market, one.subnet) for one in SPOT] == [
        ("spot", "subnet-a"),
        ("spot", "subnet-b"),
        ("on-demand", "subnet-a"),
        ("on-demand", "subnet-b"),
    ]
    assert {one.market for one in tries("on-demand", SUBNETS, SUBNETS)} == {"on-demand"}


def test_a_zone_without_capacity_leaves_the_other_zones() -> None:
    assert after(SPOT[0], "InsufficientInstanceCapacity", SPOT[1:]) == SPOT[1:]


def test_a_quota_of_spot_leaves_on_demand() -> None:
    assert after(SPOT[0], "MaxSpotInstanceCountExceeded", SPOT[1:]) == SPOT[2:]
    assert after(SPOT[2], "VcpuLimitExceeded", SPOT[3:]) == ()
