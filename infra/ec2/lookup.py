"""What only AWS knows before a host can be described: the newest AMI, the trainer's digest, subnets, zones, addresses.

Reads only.
"""

import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from infra import pushed
from infra.blueprint import Blueprint, Image
from infra.clients import Clients
from infra.ec2.reach import why_closed
from infra.ec2.requests import KEY_TYPES, Ami, Network
from infra.ec2.settings import AMIS, NO_KEY, OWN_ADDRESS
from infra.errors import StepFailed
from infra.resources.repository import LATEST
from infra.resources.resource import find

WHO_AM_I = "https://checkip.amazonaws.com"  # AWS's own: it answers with the caller's address
_LIMIT_S = 10
_MAX_BYTES = 16 << 10


def trainer_image(clients: Clients, blueprint: Blueprint, tag: str | None) -> Image:
    """The trainer as the account's registry has it: that of the deployment, else that of the tag, else the one that was
    pushed last. Raises StepFailed when it was not pushed."""
    images = blueprint.images or pushed.of_registry(clients, tag or LATEST)
    pushed.check({"trainer": images["trainer"]}, clients.ecr, clients.region)
    return images["trainer"]


def newest_ami(clients: Clients, parameter: str) -> Ami:
    """The AMI that the public parameter names. Raises StepFailed when there is no such parameter or AMI."""
    name_another = f"Set ami of [ec2] to {' or '.join(AMIS)}, or to a parameter of those that this lists."
    how = (
        f"aws ssm get-parameters-by-path --region {clients.region} --recursive --query 'Parameters[].Name' "
        f"--path {parameter.removesuffix('/latest/ami-id').rpartition('/')[0]}",
    )
    found = find(clients.ssm.get_parameter, Name=parameter)
    if found is None:
        raise StepFailed(f"Systems Manager has no parameter {parameter} in {clients.region}.", name_another, how)
    ami = found["Parameter"]["Value"]
    images = clients.ec2.describe_images(ImageIds=[ami])["Images"]
    if not images:
        raise StepFailed(f"EC2 has no AMI {ami}, which {parameter} names.", name_another, how)
    root = images[0].get("RootDeviceName") or "/dev/xvda"
    sizes = {one.get("DeviceName"): one.get("Ebs", {}).get("VolumeSize", 1) for one in images[0]["BlockDeviceMappings"]}
    return Ami(ami, root, sizes.get(root, 1))


def network_of(clients: Clients, blueprint: Blueprint, say: Callable[[str], None]) -> Network:
    """Where hosts of the blueprint may stand: the subnets of its VPC, else the default ones. `say` is told of a subnet
    that is of no use. Raises StepFailed where there is none, and on AWS where no host would reach ECR and S3 from
    them."""
    ec2, vpc, settings = clients.ec2, blueprint.vpc, blueprint.settings.network
    if vpc is None or settings is None:
        return default_network(clients)
    subnets = ec2.describe_subnets(SubnetIds=list(vpc.subnets))["Subnets"]
    zones = {one["SubnetId"]: one["AvailabilityZone"] for one in subnets}
    if clients.target == "local":  # routes are records there: every host of the stage has the same network
        return Network(vpc.id, zones)
    in_vpc = [{"Name": "vpc-id", "Values": [vpc.id]}]
    tables = _all(ec2, "describe_route_tables", "RouteTables", in_vpc)
    endpoints = _all(ec2, "describe_vpc_endpoints", "VpcEndpoints", in_vpc)
    gets_s3 = settings.gateway_endpoint
    told = {one["SubnetId"]: why_closed(one, tables, endpoints, gets_s3=gets_s3) for one in subnets}
    closed = [f"{subnet} in {zones[subnet]}: {why}" for subnet, why in sorted(told.items()) if why]
    if len(closed) == len(subnets):
        raise StepFailed(
            "From no subnet of [network] would an EC2 host reach ECR and S3.",
            "Give them a NAT gateway, or the endpoints of ecr.api and ecr.dkr with private DNS names, and "
            "gateway_endpoint = true; or name other subnets.",
            tuple(closed),
        )
    for text in closed:
        say(f"No host is launched in {text}.")
    return Network(vpc.id, {subnet: zone for subnet, zone in zones.items() if not told[subnet]})


def default_network(clients: Clients) -> Network:
    """The default VPC, and its subnet in each zone. Raises StepFailed when there is none."""
    ec2, or_name = clients.ec2, "Or name a VPC and its subnets in [network] of the preset."
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        raise StepFailed(
            f"The account has no default VPC in {clients.region}.",
            f"Make one: aws ec2 create-default-vpc --region {clients.region}. {or_name}",
        )
    vpc = vpcs[0]["VpcId"]
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default-for-az", "Values": ["true"]}]
    subnets = ec2.describe_subnets(Filters=filters)["Subnets"]
    if not subnets:
        raise StepFailed(
            f"The default VPC {vpc} has no default subnet in any zone.",
            f"Make one: aws ec2 create-default-subnet --region {clients.region} --availability-zone {clients.region}a. "
            f"{or_name}",
        )
    return Network(vpc, {one["SubnetId"]: one["AvailabilityZone"] for one in subnets})


def zones_with(ec2: Any, instance_type: str) -> list[str]:
    """The zones of the region that have the instance type."""
    by_type = [{"Name": "instance-type", "Values": [instance_type]}]
    operation, items = "describe_instance_type_offerings", "InstanceTypeOfferings"
    found = _all(ec2, operation, items, by_type, LocationType="availability-zone")
    return [one["Location"] for one in found]


def ssh_block(clients: Clients, wanted: str, address_of: str = WHO_AM_I) -> str:
    """The CIDR block that may come in by ssh: as it is given, or one's own address. Raises StepFailed when that is not
    known."""
    if wanted != OWN_ADDRESS:
        return wanted
    if clients.target == "local":
        return "127.0.0.1/32"
    try:
        with urlopen(address_of, timeout=_LIMIT_S) as answer:  # noqa: S310 - the address is a constant
            address = ipaddress.ip_address(answer.read(_MAX_BYTES).decode().strip())
    except (URLError, TimeoutError, ValueError) as error:
        raise StepFailed(
            f"Your own address is not known: {address_of} answers {error}.", "Write it as ssh_from in [ec2]."
        ) from None
    return f"{address}/{address.max_prefixlen}"


def public_key(named: Path | None, folder: Path) -> str:
    """The public key for ssh: of the file that is named, else the first of `folder`, which is ~/.ssh. Raises StepFailed
    for none, and for what is none."""
    path = named or next(_keys(folder), None)
    if path is None:
        raise StepFailed(
            f"The preset opens ssh to you, and there is no public key in {folder}.",
            f"Make one with ssh-keygen, name one: SSH_KEY=<file>.pub, or open nothing: SSH_KEY={NO_KEY}",
        )
    try:
        text = path.read_bytes()[:_MAX_BYTES].decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StepFailed(f"{path} cannot be read: {error}.", "Name a public key: SSH_KEY=<file>.pub") from None
    if text.split(" ")[0] not in KEY_TYPES or "\n" in text:
        raise StepFailed(
            f"{path} holds no public key that EC2 takes: {' or '.join(KEY_TYPES)}.",
            "Make one: ssh-keygen -t ed25519",
        )
    return text


def _all(ec2: Any, operation: str, items: str, filters: list[dict[str, Any]], **more: str) -> list[Any]:
    return [one for page in ec2.get_paginator(operation).paginate(Filters=filters, **more) for one in page[items]]


def _keys(folder: Path) -> Iterator[Path]:
    return (path for name in ("id_ed25519.pub", "id_rsa.pub") if (path := folder / name).is_file())
