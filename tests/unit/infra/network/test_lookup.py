"""Which VPC, subnets and route tables a preset means, and what is said where there are none."""

from typing import Any

import pytest

from infra.errors import StepFailed
from infra.network.lookup import find_vpc, placed
from infra.network.requests import Vpc
from infra.network.settings import NetworkSettings
from tests.unit.infra.fakes import FakeClient

TABLES = [
    {"RouteTableId": "rtb-main", "Associations": [{"Main": True}]},
    {"RouteTableId": "rtb-own", "Associations": [{"Main": False, "SubnetId": "subnet-b"}]},
]


def ec2(**answers: Any) -> FakeClient:
    subnets = [{"SubnetId": "subnet-b"}, {"SubnetId": "subnet-a"}]
    found = {"Vpcs": [{"VpcId": "vpc-1"}]}, {"Subnets": subnets}, {"RouteTables": TABLES}
    return FakeClient(
        {"describe_vpcs": found[0], "describe_subnets": found[1], "describe_route_tables": found[2], **answers}
    )


def filters(client: FakeClient, operation: str) -> dict[str, list[str]]:
    (found,) = (members["Filters"] for name, members in client.calls if name == operation)
    return {one["Name"]: one["Values"] for one in found}


def test_all_of_the_default_vpc_with_the_route_tables_that_count() -> None:
    client = ec2()
    found = find_vpc(client, NetworkSettings())
    assert found == Vpc("vpc-1", ("subnet-a", "subnet-b"), ("rtb-main", "rtb-own"))
    assert filters(client, "describe_vpcs") == {"is-default": ["true"]}
    assert filters(client, "describe_subnets") == {"vpc-id": ["vpc-1"]}


def test_subnets_by_their_tag_and_by_their_ids() -> None:
    client = ec2()
    find_vpc(client, NetworkSettings(vpc="vpc-0a1b2c3d", subnet_tag="tier=private=1"))
    assert filters(client, "describe_vpcs") == {"vpc-id": ["vpc-0a1b2c3d"]}
    assert filters(client, "describe_subnets")["tag:tier"] == ["private=1"]
    with pytest.raises(StepFailed, match="The VPC vpc-1 has no subnet subnet-0123abcd"):
        find_vpc(ec2(), NetworkSettings(subnets=("subnet-0123abcd",)))


@pytest.mark.parametrize(
    ("answers", "settings", "reason"),
    [
        ({"describe_vpcs": {"Vpcs": []}}, NetworkSettings(), "no default VPC in this region"),
        ({"describe_vpcs": {"Vpcs": []}}, NetworkSettings(vpc="vpc-0a1b2c3d"), "no VPC vpc-0a1b2c3d"),
        ({"describe_subnets": {"Subnets": []}}, NetworkSettings(subnet_tag="a=b"), "no subnet with the tag a=b"),
        (
            {"describe_subnets": {"Subnets": [{"SubnetId": f"subnet-{n}"} for n in range(17)]}},
            NetworkSettings(),
            "17 such subnets, and SageMaker takes 16",
        ),
    ],
)
def test_what_there_is_not(answers: dict[str, Any], settings: NetworkSettings, reason: str) -> None:
    with pytest.raises(StepFailed, match=reason):
        find_vpc(ec2(**answers), settings)


def test_the_security_group_gets_its_id_when_the_request_is_sent() -> None:
    request = {"VpcConfig": {"SecurityGroupIds": ["dogs-jobs-vpc-1"], "Subnets": ["subnet-a"]}}
    client = FakeClient({"describe_security_groups": {"SecurityGroups": [{"GroupId": "sg-1"}]}})
    assert placed(client, request)["VpcConfig"] == {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-a"]}
    assert filters(client, "describe_security_groups") == {"group-name": ["dogs-jobs-vpc-1"]}
    assert placed(FakeClient(), {"ModelName": "m"}) == {"ModelName": "m"}
    nothing = FakeClient({"describe_security_groups": {"SecurityGroups": []}})
    with pytest.raises(StepFailed, match="no security group dogs-jobs-vpc-1"):
        placed(nothing, request)
