"""The names and requests of the EC2 host, as AWS takes them. Pure: nothing is asked and nothing is changed here."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.blueprint import Blueprint, Image
from infra.ec2.settings import Ec2Settings
from infra.ec2.user_data import Run, user_data
from infra.roles import EC2_FOLDER

RUN_TAG = "stagemaker:run"
HOP_LIMIT = 2  # from a container in Docker's own network to the instance's metadata
KEY_TYPES = ("ssh-ed25519", "ssh-rsa")  # what EC2 imports


@dataclass(frozen=True)
class Ami:
    """An image of a machine: its id, the device of its root volume, and how large that must be at least."""

    id: str
    root_device: str
    root_gb: int


@dataclass(frozen=True)
class Network:
    """Where the host may stand: `subnets` are availability zones by the subnets' ids."""

    vpc: str
    subnets: Mapping[str, str]


def host_name(blueprint: Blueprint) -> str:
    """Of the launch template, of the security group, and of the instance."""
    return f"{blueprint.settings.project}-host"


def key_name(blueprint: Blueprint, public_key: str) -> str:
    """Of the key pair: another for another key, since AWS cannot change one."""
    return f"{host_name(blueprint)}-{hashlib.sha256(public_key.encode()).hexdigest()[:10]}"


def run_of(blueprint: Blueprint, host: Ec2Settings, image: Image) -> Run:
    """The run of a host that trains as the first model's training job does. `image` is the trainer by its digest. The
    same settings, data and files of the image give the same name, so that a second run goes on where the first one was
    ended."""
    training = blueprint.training_request(blueprint.settings.models[0])
    channels = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in training["InputDataConfig"]}
    hyperparameters = {**training["HyperParameters"], **host.hyperparameters}
    content = [image.content, host.instance_type, host.script, hyperparameters, channels, blueprint.data_digest]
    name = f"{blueprint.settings.project}-{_fingerprint(content)}"
    return Run(
        name=name,
        region=blueprint.settings.region,
        results=f"s3://{blueprint.bucket}/{EC2_FOLDER}/{name}",
        image=image.reference,
        instance_type=host.instance_type,
        limit_s=host.limit_s,
        script=host.script,
        hyperparameters=hyperparameters,
        channels=channels,
    )


def launch_template(blueprint: Blueprint, host: Ec2Settings, run: Run, ami: Ami, key: str = "") -> dict[str, Any]:
    """LaunchTemplateData without the security group, whose id AWS chooses. `key` is the name of a key pair or empty.
    Where and in which market an instance runs is said when it is launched. Raises ValueError as `user_data` does."""
    tags = [{"Key": "Name", "Value": host_name(blueprint)}, {"Key": RUN_TAG, "Value": run.name}, *blueprint.tags]
    root = {
        "VolumeSize": max(host.volume_gb, ami.root_gb),
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
        **({"KmsKeyId": blueprint.key} if blueprint.key else {}),
    }
    return {
        "ImageId": ami.id,
        "InstanceType": host.instance_type,
        "IamInstanceProfile": {"Name": blueprint.role("ec2")},
        "BlockDeviceMappings": [{"DeviceName": ami.root_device, "Ebs": root}],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": HOP_LIMIT, "HttpEndpoint": "enabled"},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        "UserData": base64.b64encode(user_data(run).encode()).decode(),
        **({"KeyName": key} if key else {}),
    }


def ingress(block: str) -> list[dict[str, Any]]:
    """The rules of the security group for what comes in: none, or port 22 from a CIDR block."""
    if not block:
        return []
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    member, name = ("Ipv6Ranges", "CidrIpv6") if ":" in block else ("IpRanges", "CidrIp")
    return [{**rule, member: [{name: block, "Description": "ssh"}]}]


def tag_specifications(kind: str, tags: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """How EC2 takes the tags of what it makes."""
    return [{"ResourceType": kind, "Tags": list(tags)}]


def _fingerprint(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]
