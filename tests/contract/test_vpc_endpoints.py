"""Which gateway endpoint the requests from a subnet go through, by what moto's EC2 keeps."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from stagemaker.adapters.vpc_endpoints import s3_gateway

ACCOUNT, REGION = "222233334444", "eu-west-1"
S3 = f"com.amazonaws.{REGION}.s3"


@dataclass(frozen=True)
class Network:
    """A VPC with a subnet in it."""

    backend: Any
    vpc_id: str
    subnet: str
    main_table: str

    def endpoint(self, table: str, service: str = S3, kind: str | None = "Gateway", policy: str | None = None) -> str:
        """A new one; its id."""
        return str(self.backend.create_vpc_endpoint(self.vpc_id, service, kind, policy, [table]).id)

    def found(self) -> str | None:
        """The id of the one that requests go through."""
        found = s3_gateway(self.subnet)
        return found.id if found is not None else None


@pytest.fixture
def network() -> Network:
    backend = ec2_backends[ACCOUNT][REGION]
    vpc = backend.create_vpc("10.0.0.0/16")
    subnet = backend.create_subnet(vpc.id, "10.0.1.0/24", availability_zone=f"{REGION}a")
    main = next(table for table in backend.route_tables.values() if table.vpc_id == vpc.id)
    return Network(backend, vpc.id, subnet.id, main.id)


def test_a_subnet_without_an_endpoint_has_none(network: Network) -> None:
    assert s3_gateway("subnet-unknown") is None
    assert s3_gateway(network.subnet) is None


@pytest.mark.parametrize("kind", ["Gateway", None])
def test_a_subnet_uses_the_endpoint_in_the_main_route_table(network: Network, kind: str | None) -> None:
    made = network.endpoint(network.main_table, kind=kind)
    found = s3_gateway(network.subnet)
    assert found is not None
    assert (found.id, found.vpc_id) == (made, network.vpc_id)
    (statement,) = json.loads(found.policy)["Statement"]  # the default policy
    assert statement == {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def test_an_associated_route_table_takes_the_place_of_the_main_one(network: Network) -> None:
    main = network.endpoint(network.main_table)
    own = network.backend.create_route_table(network.vpc_id).id
    assert network.found() == main
    network.backend.associate_route_table(own, subnet_id=network.subnet)
    assert network.found() is None
    made = network.endpoint(own)
    assert network.found() == made


def test_other_services_and_interfaces_are_no_gateways_of_s3(network: Network) -> None:
    network.endpoint(network.main_table, service=f"com.amazonaws.{REGION}.dynamodb")
    network.endpoint(network.main_table, service="com.amazonaws.us-east-1.s3")
    network.endpoint(network.main_table, kind="Interface")
    assert network.found() is None


def test_an_endpoint_of_another_vpc_and_a_deleted_one_do_not_count(network: Network) -> None:
    other = network.backend.create_vpc("10.1.0.0/16")
    network.backend.create_vpc_endpoint(other.id, S3, "Gateway", None, [network.main_table])
    assert network.found() is None
    made = network.endpoint(network.main_table)
    network.backend.vpc_end_points[made].state = "deleted"
    assert network.found() is None
