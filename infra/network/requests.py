"""The names and requests of a deployment's network, as AWS takes them. Pure: nothing is asked and nothing is changed.

A VpcConfig names its security group here by name, since AWS chooses the id when it makes the group: the names of jobs
and models that follow from their requests must be known before that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ANYWHERE = {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


@dataclass(frozen=True)
class Vpc:
    """A VPC by its id, with the ids of the subnets to run in, and of the route tables that these have."""

    id: str
    subnets: tuple[str, ...]
    route_tables: tuple[str, ...]


def group_name(project: str, vpc: str) -> str:
    """That of the security group of jobs and endpoints: another for another VPC, since it cannot move."""
    return f"{project}-jobs-{vpc}"


def vpc_config(project: str, vpc: Vpc) -> dict[str, list[str]]:
    """The VpcConfig of jobs and models, with the name of the security group in place of its id."""
    return {"SecurityGroupIds": [group_name(project, vpc.id)], "Subnets": list(vpc.subnets)}


def with_group_id(request: Mapping[str, Any], group: str) -> dict[str, Any]:
    """The request of a job or a model with the id of the security group in its VpcConfig."""
    config = {**request["VpcConfig"], "SecurityGroupIds": [group]}
    return {**request, "VpcConfig": config}


def rules(group: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What may come in and go out of the security group with this id: out by HTTPS, to AWS; and everything between the
    instances of one job, which train together ("Configure your VPC" in
    https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html)."""
    together = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    return [together], [together, {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **_ANYWHERE}]


def rules_as_text(ingress: list[dict[str, Any]], egress: list[dict[str, Any]]) -> list[str]:
    """Each rule as text, such as `tcp 443 out to 0.0.0.0/0`, sorted, whatever else EC2 tells of it."""
    return sorted(
        f"{'all' if one['IpProtocol'] == '-1' else one['IpProtocol']} {one.get('FromPort', 'ports')} {way} {whom}"
        for way, listed in (("in from", ingress), ("out to", egress))
        for one in listed
        for whom in whom_of(one)
    )


def whom_of(rule: Mapping[str, Any]) -> tuple[str, ...]:
    """The blocks, groups and prefix lists that a rule of a security group names."""
    return (
        *(entry["CidrIp"] for entry in rule.get("IpRanges", ())),
        *(entry["CidrIpv6"] for entry in rule.get("Ipv6Ranges", ())),
        *(entry["GroupId"] for entry in rule.get("UserIdGroupPairs", ())),
        *(entry["PrefixListId"] for entry in rule.get("PrefixListIds", ())),
    )
