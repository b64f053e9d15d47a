"""In which subnets of a VPC `ec2-train` launches a host, by what a strict stage tells of routes and endpoints."""

from dataclasses import dataclass

import pytest

from infra.blueprint import Blueprint
from infra.clients import Clients, connect
from infra.ec2.lookup import network_of
from infra.ec2.requests import Network
from infra.errors import StepFailed
from infra.network.lookup import find_vpc
from infra.network.settings import NetworkSettings
from infra.settings import DeploymentSettings
from tests.aws.pretended_aws import REGION, PretendedAws


@dataclass(frozen=True)
class Place:
    """A VPC with two subnets, each with a route table of its own that leads nowhere."""

    clients: Clients
    vpc: str
    subnets: tuple[str, str]
    tables: tuple[str, str]

    def network(self, *, gateway_endpoint: bool = False) -> tuple[Network, list[str]]:
        """Where hosts may stand, and what is said."""
        settings = NetworkSettings(self.vpc, self.subnets, gateway_endpoint=gateway_endpoint)
        found = find_vpc(self.clients.ec2, settings)
        blueprint = Blueprint(DeploymentSettings(network=settings), self.clients.account, "", vpc=found)
        said = list[str]()
        return network_of(self.clients, blueprint, said.append), said

    def lead(self, number: int, **way: str) -> None:
        """Give a subnet a way to everywhere."""
        table = self.tables[number]
        self.clients.ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", **way)


@pytest.fixture
def place(aws: PretendedAws, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    clients = connect("aws", REGION)
    ec2 = clients.ec2
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    made = list[tuple[str, str]]()
    for number, zone in enumerate("ab"):
        block, where = f"10.8.{number}.0/24", f"{REGION}{zone}"
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=where)["Subnet"]["SubnetId"]
        table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
        made.append((subnet, table))
    (one, its), (other, others) = made
    return Place(clients, vpc, (one, other), (its, others))


def test_private_subnets_need_a_way_to_ecr_and_s3(place: Place) -> None:
    with pytest.raises(StepFailed, match="From no subnet") as failed:
        place.network()
    assert [line.rpartition("endpoint of ")[2] for line in failed.value.evidence] == ["ecr.api and ecr.dkr and s3"] * 2
    ec2, services = place.clients.ec2, [f"com.amazonaws.{REGION}.{name}" for name in ("ecr.api", "ecr.dkr", "s3")]
    for service in services[:2]:
        ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=place.vpc, ServiceName=service, SubnetIds=[place.subnets[0]],
            PrivateDnsEnabled=True,
        )  # fmt: skip
    with pytest.raises(StepFailed, match="From no subnet") as failed:
        place.network()
    assert [line.rpartition("endpoint of ")[2] for line in failed.value.evidence] == ["s3"] * 2
    assert set(place.network(gateway_endpoint=True)[0].subnets) == set(place.subnets)
    ec2.create_vpc_endpoint(
        VpcEndpointType="Gateway", VpcId=place.vpc, ServiceName=services[2], RouteTableIds=[place.tables[0]]
    )
    found, said = place.network()
    assert found.subnets == {place.subnets[0]: f"{REGION}a"}
    why = "it has no route to the internet, and no endpoint of s3"
    assert said == [f"No host is launched in {place.subnets[1]} in {REGION}b: {why}."]


def test_a_nat_gateway_or_a_public_address_is_a_way(place: Place) -> None:
    ec2, (private, public) = place.clients.ec2, place.subnets
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=place.vpc)
    place.lead(1, GatewayId=gateway)
    with pytest.raises(StepFailed, match="From no subnet") as failed:
        place.network()
    assert "it gives no public address" in str(failed.value.evidence)
    ec2.modify_subnet_attribute(SubnetId=public, MapPublicIpOnLaunch={"Value": True})
    assert set(place.network()[0].subnets) == {public}
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=public, AllocationId=address)["NatGateway"]["NatGatewayId"]
    place.lead(0, NatGatewayId=nat)
    assert place.network() == (Network(place.vpc, {private: f"{REGION}a", public: f"{REGION}b"}), [])
