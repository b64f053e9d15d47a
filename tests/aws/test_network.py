"""The network of a deployment against a strict stage: made, repaired, used by a model, and deleted; what was there
before stays."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from infra import engine, roles
from infra.blueprint import Blueprint
from infra.clients import Clients, connect
from infra.network import resources
from infra.network.lookup import find_vpc, placed
from infra.network.settings import NetworkSettings
from infra.resources import titles
from infra.resources.role import IamRole
from infra.settings import DeploymentSettings
from infra.terminal import Terminal
from tests.aws.pretended_aws import REGION, PretendedAws

QUIET = Terminal(Console(quiet=True))


@dataclass(frozen=True)
class Place:
    """A VPC with a private subnet and a public one, and the blueprint of a deployment in the private one."""

    clients: Clients
    blueprint: Blueprint
    main_table: str

    def wanted(self) -> list[Any]:
        """The resources of its network."""
        return resources.wanted(self.clients, self.blueprint)

    def endpoints(self) -> list[str]:
        """The gateway endpoints of the VPC."""
        assert self.blueprint.vpc is not None
        by_vpc = [{"Name": "vpc-id", "Values": [self.blueprint.vpc.id]}]
        found = self.clients.ec2.describe_vpc_endpoints(Filters=by_vpc)["VpcEndpoints"]
        return [one["VpcEndpointId"] for one in found if one["State"].lower() == "available"]


@pytest.fixture
def place(aws: PretendedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    clients = connect("aws", REGION)
    clients = replace(clients, poll_s=0.1)
    ec2 = clients.ec2
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    private, public = (ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24")["Subnet"]["SubnetId"] for n in (1, 2))
    ec2.create_tags(Resources=[private], Tags=[{"Key": "tier", "Value": "private"}])
    by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    main = ec2.describe_route_tables(Filters=by_vpc)["RouteTables"][0]["RouteTableId"]
    own = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=own, SubnetId=private)
    network = NetworkSettings(vpc=vpc, subnet_tag="tier=private", gateway_endpoint=True)
    settings = DeploymentSettings(project=f"n{uuid.uuid4().hex[:8]}", network=network)
    found = find_vpc(ec2, network)
    assert (found.subnets, found.route_tables, public in found.subnets) == ((private,), (own,), False)
    yield Place(clients, Blueprint(settings, clients.account, "", vpc=found), main)
    for one in (private, public):
        ec2.delete_subnet(SubnetId=one)


def test_it_is_made_repaired_and_deleted_and_the_vpc_stays(place: Place) -> None:
    ec2, project = place.clients.ec2, place.blueprint.settings.project
    assert engine.apply(place.wanted(), QUIET) == ["create", "create"]
    assert {one.title: [str(each) for each in one.diff(one.read())] for one in place.wanted()} == {
        titles.JOBS_GROUP: [], titles.S3_ENDPOINT: [],
    }  # fmt: skip
    assert engine.apply(place.wanted(), QUIET) == ["unchanged", "unchanged"]

    group, endpoint = place.wanted()
    state = group.read()
    anybody = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=state["GroupId"], IpPermissions=[anybody])
    everything = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"},
    ]}  # fmt: skip
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint.read()["id"], PolicyDocument=json.dumps(everything))
    spoilt = group.read()
    assert "tcp 22 in from 0.0.0.0/0" in group.diff(spoilt)[0].old
    assert engine.apply(place.wanted(), QUIET) == ["update", "update"]
    assert engine.apply(place.wanted(), QUIET) == ["unchanged", "unchanged"]

    said: list[str] = []
    assert engine.destroy(resources.existing(place.clients, place.blueprint), said.append) == 2
    assert place.endpoints() == []
    assert resources.existing(place.clients, place.blueprint) == []
    assert place.blueprint.vpc is not None
    assert ec2.describe_vpcs(VpcIds=[place.blueprint.vpc.id])["Vpcs"], project


def test_the_gateway_endpoint_of_somebody_else_is_used_and_left(place: Place) -> None:
    ec2, vpc = place.clients.ec2, place.blueprint.vpc
    assert vpc is not None
    theirs = ec2.create_vpc_endpoint(
        VpcEndpointType="Gateway", VpcId=vpc.id, ServiceName=f"com.amazonaws.{REGION}.s3",
        RouteTableIds=list(vpc.route_tables),
    )["VpcEndpoint"]["VpcEndpointId"]  # fmt: skip
    assert engine.apply(place.wanted(), QUIET) == ["create", "unchanged"]
    _, endpoint = place.wanted()
    assert theirs in endpoint.remark(endpoint.read())
    engine.destroy(resources.existing(place.clients, place.blueprint), lambda _: None)
    assert place.endpoints() == [theirs]


def test_without_the_setting_the_own_one_is_deleted(place: Place) -> None:
    engine.apply(place.wanted(), QUIET)
    assert place.blueprint.settings.network is not None
    network = replace(place.blueprint.settings.network, gateway_endpoint=False)
    settings = replace(place.blueprint.settings, network=network)
    less = replace(place, blueprint=replace(place.blueprint, settings=settings))
    assert engine.apply(less.wanted(), QUIET) == ["unchanged", "delete"]
    assert place.endpoints() == []
    engine.destroy(resources.existing(place.clients, place.blueprint), lambda _: None)


def test_a_model_in_the_vpc_reads_its_own_bucket_and_no_other(place: Place) -> None:
    """By CreateModel, which looks for its artifact from the model's subnet."""
    clients, blueprint = place.clients, place.blueprint
    role = IamRole(clients.iam, roles.hosting(blueprint), titles.HOSTING_ROLE, blueprint.tags)
    engine.apply([role, *place.wanted()], QUIET)
    other = f"{blueprint.bucket}-other"
    for bucket in (blueprint.bucket, other):
        clients.s3.create_bucket(Bucket=bucket)
        clients.s3.put_object(Bucket=bucket, Key="models/job/output/model.tar.gz", Body=b"x")
    request = placed(clients.ec2, blueprint.model_request("job"))
    group, _ = place.wanted()
    assert request["VpcConfig"]["SecurityGroupIds"] == [group.read()["GroupId"]]
    clients.sagemaker.create_model(**request)
    assert clients.sagemaker.describe_model(ModelName=request["ModelName"])["VpcConfig"] == request["VpcConfig"]

    everything = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    clients.iam.put_role_policy(
        RoleName=role.name, PolicyName="more", PolicyDocument=json.dumps(everything)
    )  # the role may, and the gateway endpoint does not let it
    elsewhere = {"Image": "stagemaker/serve:latest", "ModelDataUrl": f"s3://{other}/models/job/output/model.tar.gz"}
    with pytest.raises(ClientError, match="Could not access model data"):
        clients.sagemaker.create_model(**{**request, "ModelName": f"{role.name}-2", "PrimaryContainer": elsewhere})
    clients.sagemaker.delete_model(ModelName=request["ModelName"])
    engine.destroy([role, *resources.existing(clients, blueprint)], lambda _: None)
    for bucket in (blueprint.bucket, other):
        clients.s3.delete_object(Bucket=bucket, Key="models/job/output/model.tar.gz")
        clients.s3.delete_bucket(Bucket=bucket)
