"""What is asked of AWS before a host is described, and what is said where AWS has none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from infra.blueprint import Blueprint
from infra.ec2 import lookup
from infra.ec2.requests import Ami, Network
from infra.ec2.settings import AMIS
from infra.errors import StepFailed
from infra.network.requests import Vpc
from infra.network.settings import NetworkSettings
from infra.settings import DeploymentSettings
from tests.unit.infra.ec2.hosts import route_table
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

PARAMETER = AMIS["deep-learning"]
ROOT = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 75}}
OTHER = {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}


def newest(parameter: Any, *images: dict[str, Any]) -> tuple[FakeClient, FakeClient, Ami]:
    """The newest AMI, by what Systems Manager and EC2 answer."""
    ssm, ec2 = FakeClient({"get_parameter": parameter}), FakeClient({"describe_images": {"Images": list(images)}})
    return ssm, ec2, lookup.newest_ami(fake_clients(ssm=ssm, ec2=ec2), PARAMETER)


def test_the_newest_ami_is_the_value_of_its_parameter() -> None:
    image = {"RootDeviceName": "/dev/sda1", "BlockDeviceMappings": [OTHER, ROOT]}
    ssm, ec2, found = newest({"Parameter": {"Value": "ami-7"}}, image)
    assert found == Ami("ami-7", "/dev/sda1", 75)
    assert ssm.calls == [("get_parameter", {"Name": PARAMETER})]
    assert ec2.calls == [("describe_images", {"ImageIds": ["ami-7"]})]


def test_an_ami_whose_root_is_not_described_may_have_any_size() -> None:
    _, _, found = newest({"Parameter": {"Value": "ami-7"}}, {"BlockDeviceMappings": []})
    assert found == Ami("ami-7", "/dev/xvda", 1)


def test_a_parameter_and_an_ami_that_there_is_not() -> None:
    with pytest.raises(StepFailed, match=f"Systems Manager has no parameter {PARAMETER} in us-east-1") as failed:
        newest(missing("ParameterNotFound"))
    assert "Set ami of [ec2] to deep-learning or amazon-linux-2023, or" in failed.value.next_step
    assert failed.value.evidence[0].endswith("--path /aws/service/deeplearning/ami/x86_64")
    with pytest.raises(StepFailed, match="EC2 has no AMI ami-7, which /aws/service/deeplearning"):
        newest({"Parameter": {"Value": "ami-7"}})


def test_without_a_network_the_default_vpc_and_its_subnet_of_each_zone() -> None:
    listed = [{"SubnetId": f"subnet-{zone}", "AvailabilityZone": f"us-east-1{zone}"} for zone in "ab"]
    ec2 = FakeClient({"describe_vpcs": {"Vpcs": [{"VpcId": "vpc-1"}]}, "describe_subnets": {"Subnets": listed}})
    blueprint = Blueprint(DeploymentSettings(), "123456789012", "")
    found = lookup.network_of(fake_clients(ec2=ec2), blueprint, print)
    assert found == Network("vpc-1", {"subnet-a": "us-east-1a", "subnet-b": "us-east-1b"})
    assert {"Name": "default-for-az", "Values": ["true"]} in dict(ec2.calls)["describe_subnets"]["Filters"]
    with pytest.raises(StepFailed, match="The account has no default VPC in us-east-1") as failed:
        lookup.network_of(fake_clients(ec2=FakeClient({"describe_vpcs": {"Vpcs": []}})), blueprint, print)
    assert "aws ec2 create-default-vpc --region us-east-1. Or name a VPC" in failed.value.next_step
    ec2.answers["describe_subnets"] = {"Subnets": []}
    with pytest.raises(StepFailed, match="The default VPC vpc-1 has no default subnet") as failed:
        lookup.network_of(fake_clients(ec2=ec2), blueprint, print)
    assert "aws ec2 create-default-subnet --region us-east-1" in failed.value.next_step


def placed(target: Any, *tables: dict[str, Any], gateway_endpoint: bool = True) -> tuple[Network, list[str]]:
    """Where the host of a deployment in two subnets of a VPC may stand, and what is said."""
    listed = [{"SubnetId": f"subnet-{zone}", "AvailabilityZone": f"us-east-1{zone}"} for zone in "ab"]
    ec2 = FakeClient(
        {
            "describe_subnets": {"Subnets": listed},
            "describe_route_tables": {"RouteTables": list(tables)},
            "describe_vpc_endpoints": {"VpcEndpoints": []},
        }
    )
    settings = DeploymentSettings(network=NetworkSettings("vpc-0a1b2c3d", gateway_endpoint=gateway_endpoint))
    vpc = Vpc("vpc-0a1b2c3d", ("subnet-a", "subnet-b"), ("rtb-1",))
    said = list[str]()
    clients = replace(fake_clients(ec2=ec2), target=target)
    return lookup.network_of(clients, Blueprint(settings, "123456789012", "", vpc=vpc), said.append), said


CLOSED = route_table("rtb-1", {}, Main=True)
OPEN = route_table("rtb-2", {"NatGatewayId": "nat-1"}, SubnetId="subnet-b")


def test_with_a_network_its_subnets_from_which_a_host_reaches_ecr_and_s3() -> None:
    found, said = placed("aws", CLOSED, OPEN)
    assert found == Network("vpc-0a1b2c3d", {"subnet-b": "us-east-1b"})
    (text,) = said
    assert text.startswith("No host is launched in subnet-a in us-east-1a: it has no route to the internet")


def test_subnets_without_any_way_are_refused_with_what_each_lacks() -> None:
    with pytest.raises(StepFailed, match="would an EC2 host reach ECR and S3") as failed:
        placed("aws", CLOSED)
    assert [line.partition(":")[0] for line in failed.value.evidence] == [
        "subnet-a in us-east-1a", "subnet-b in us-east-1b",
    ]  # fmt: skip
    assert "s3" not in failed.value.evidence[0], "the deployment's own endpoint is made before the host"
    with pytest.raises(StepFailed, match="would an EC2 host reach ECR and S3") as failed:
        placed("aws", CLOSED, gateway_endpoint=False)
    assert failed.value.evidence[0].endswith("ecr.api and ecr.dkr and s3")


def test_the_routes_of_the_stage_are_records_and_not_looked_at() -> None:
    found, said = placed("local", CLOSED)
    assert (set(found.subnets), said) == ({"subnet-a", "subnet-b"}, [])


def test_the_zones_that_have_an_instance_type() -> None:
    offered = {"InstanceTypeOfferings": [{"Location": "us-east-1b"}, {"Location": "us-east-1d"}]}
    ec2 = FakeClient({"describe_instance_type_offerings": offered})
    assert lookup.zones_with(ec2, "g5.xlarge") == ["us-east-1b", "us-east-1d"]
    ((_, request),) = ec2.calls
    assert request["LocationType"] == "availability-zone"
    assert request["Filters"] == [{"Name": "instance-type", "Values": ["g5.xlarge"]}]


@contextmanager
def answering(text: bytes) -> Iterator[str]:
    """The address of a server on this machine that answers with this text."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


ON_AWS = replace(fake_clients(), target="aws")


@pytest.mark.parametrize(
    ("address", "block"), [(b"203.0.113.7\n", "203.0.113.7/32"), (b"2001:db8::1", "2001:db8::1/128")]
)
def test_ssh_is_open_to_the_address_that_aws_sees(address: bytes, block: str) -> None:
    with answering(address) as url:
        assert lookup.ssh_block(ON_AWS, "own", url) == block


def test_an_address_that_is_none_opens_nothing() -> None:
    with answering(b"<html>sign in</html>") as url, pytest.raises(StepFailed, match="Your own address is not known"):
        lookup.ssh_block(ON_AWS, "own", url)
    with pytest.raises(StepFailed, match="Your own address is not known"):
        lookup.ssh_block(ON_AWS, "own", "http://127.0.0.1:1/")


def test_a_block_that_is_given_is_taken_and_on_this_machine_own_is_loopback() -> None:
    assert lookup.ssh_block(ON_AWS, "198.51.100.0/24") == "198.51.100.0/24"
    assert lookup.ssh_block(fake_clients(), "own") == "127.0.0.1/32"


def test_the_public_key_is_the_named_one_else_the_first_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "id_rsa.pub").write_text("ssh-rsa AAAAB3 me@here\n")
    assert lookup.public_key(None, tmp_path) == "ssh-rsa AAAAB3 me@here"
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 AAAAC3 me@here\n")
    assert lookup.public_key(None, tmp_path) == "ssh-ed25519 AAAAC3 me@here"
    assert lookup.public_key(tmp_path / "id_rsa.pub", tmp_path) == "ssh-rsa AAAAB3 me@here"


@pytest.mark.parametrize(
    "content",
    [b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza\n", b"ecdsa-sha2-nistp256 A", b"", b"ssh-rsa A\nssh-rsa B"],
)
def test_what_is_no_public_key_is_refused_and_not_shown(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(StepFailed, match="holds no public key that EC2 takes") as failed:
        lookup.public_key(tmp_path / "key", tmp_path)
    assert "b3BlbnNza" not in f"{failed.value.reason}{failed.value.next_step}{failed.value.evidence}"


def test_no_public_key_at_all_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="there is no public key in"):
        lookup.public_key(None, tmp_path)
    with pytest.raises(StepFailed, match="cannot be read"):
        lookup.public_key(tmp_path, tmp_path)
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    with pytest.raises(StepFailed, match="cannot be read"):
        lookup.public_key(tmp_path / "key", tmp_path)
