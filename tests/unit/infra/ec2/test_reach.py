"""From which subnets a host reaches ECR and S3."""

from typing import Any

import pytest

from infra.ec2.reach import why_closed
from tests.unit.infra.ec2.hosts import route_table

SUBNET = {"SubnetId": "subnet-a", "MapPublicIpOnLaunch": False}


def tables(**way: str) -> list[dict[str, Any]]:
    """That of the subnet, and the VPC's main one, which leads to the internet."""
    return [
        route_table("rtb-main", {"NatGatewayId": "nat-1"}, Main=True),
        route_table("rtb-own", way, Main=False, SubnetId="subnet-a"),
    ]


def interface(service: str, *, private_dns: bool = True, state: str = "available") -> dict[str, Any]:
    """An interface endpoint."""
    name = f"com.amazonaws.us-east-1.{service}"
    return {"ServiceName": name, "State": state, "PrivateDnsEnabled": private_dns, "VpcEndpointType": "Interface"}


def gateway(*route_tables: str) -> dict[str, Any]:
    """The gateway endpoint of S3 in these route tables."""
    name = "com.amazonaws.us-east-1.s3"
    return {"ServiceName": name, "State": "available", "VpcEndpointType": "Gateway", "RouteTableIds": route_tables}


ECR = [interface("ecr.api"), interface("ecr.dkr")]


def test_a_nat_gateway_is_a_way_and_an_internet_gateway_for_who_has_an_address() -> None:
    assert why_closed(SUBNET, tables(NatGatewayId="nat-1"), [], gets_s3=False) == ""
    public, found = {**SUBNET, "MapPublicIpOnLaunch": True}, tables(GatewayId="igw-1")
    assert why_closed(public, found, [], gets_s3=False) == ""
    why = why_closed(SUBNET, found, [], gets_s3=False)
    assert why == "it gives no public address, and no endpoint of ecr.api and ecr.dkr and s3"


def test_a_subnet_without_a_table_of_its_own_has_the_main_one() -> None:
    other = {**SUBNET, "SubnetId": "subnet-b"}
    assert why_closed(other, tables(), [], gets_s3=False) == ""
    assert why_closed(SUBNET, tables(), [], gets_s3=True) != ""


def test_a_route_to_what_was_deleted_is_no_way() -> None:
    assert why_closed(SUBNET, tables(NatGatewayId="nat-1", State="blackhole"), [], gets_s3=True) != ""


@pytest.mark.parametrize(
    ("endpoints", "gets_s3", "lacking"),
    [
        ([*ECR, gateway("rtb-own")], False, ""),
        (ECR, True, ""),
        ([*ECR, gateway("rtb-main")], False, "s3"),
        ([ECR[0]], True, "ecr.dkr"),
        ([ECR[0], interface("ecr.dkr", private_dns=False)], True, "ecr.dkr"),
        ([ECR[0], interface("ecr.dkr", state="pending")], True, "ecr.dkr"),
        ([gateway("rtb-own")], False, "ecr.api and ecr.dkr"),
    ],
)
def test_a_private_subnet_needs_the_endpoints(endpoints: list[dict[str, Any]], gets_s3: bool, lacking: str) -> None:
    why = why_closed(SUBNET, tables(), endpoints, gets_s3=gets_s3)
    assert why == (f"it has no route to the internet, and no endpoint of {lacking}" if lacking else "")
