"""What is tried next when AWS refuses to launch a host."""

from infra.ec2.tries import after, tries

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
