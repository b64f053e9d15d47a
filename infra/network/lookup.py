"""What only AWS knows of a deployment's network: the default VPC, its subnets and their route tables. Reads only."""

from collections.abc import Iterable
from typing import Any

from infra.errors import StepFailed
from infra.network.requests import Vpc, with_group_id
from infra.network.settings import DEFAULT_VPC, MAX_SUBNETS, NetworkSettings
from infra.resources.resource import State

_NAME_ANOTHER = "Name another in [network] of the preset."


def find_vpc(ec2: Any, settings: NetworkSettings) -> Vpc:
    """The VPC, its subnets and route tables that the settings mean. Raises StepFailed when there are none."""
    vpc = _vpc(ec2, settings.vpc)
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    found = _all(ec2, "describe_subnets", "Subnets", [*in_vpc, *_chosen(settings)])
    subnets = sorted(one["SubnetId"] for one in found)
    if missing := sorted(set(settings.subnets) - set(subnets)):
        raise StepFailed(f"The VPC {vpc} has no subnet {missing[0]}.", _NAME_ANOTHER)
    if not subnets:
        which = f" with the tag {settings.subnet_tag}" if settings.subnet_tag else ""
        raise StepFailed(f"The VPC {vpc} has no subnet{which}.", _NAME_ANOTHER)
    if len(subnets) > MAX_SUBNETS:
        raise StepFailed(
            f"The VPC {vpc} has {len(subnets)} such subnets, and SageMaker takes {MAX_SUBNETS}.",
            "Name some as subnets in [network] of the preset.",
        )
    tables = _all(ec2, "describe_route_tables", "RouteTables", in_vpc)
    return Vpc(vpc, tuple(subnets), tuple(sorted({_table_of(one, tables) for one in subnets})))


def placed(ec2: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The request of a job or a model as AWS takes it: in a VpcConfig the security group's id in place of its name. One
    without a VpcConfig as it is. Raises StepFailed when there is no such group."""
    if "VpcConfig" not in request:
        return request
    (name,) = request["VpcConfig"]["SecurityGroupIds"]
    found = _all(ec2, "describe_security_groups", "SecurityGroups", [{"Name": "group-name", "Values": [name]}])
    if not found:
        raise StepFailed(f"There is no security group {name}.", "Deploy again: that makes it.")
    return with_group_id(request, found[0]["GroupId"])


def _vpc(ec2: Any, wanted: str) -> str:
    by_id = {"Name": "vpc-id", "Values": [wanted]}
    found = _all(ec2, "describe_vpcs", "Vpcs", [{"Name": "is-default", "Values": ["true"]} if _is(wanted) else by_id])
    if found:
        return str(found[0]["VpcId"])
    if _is(wanted):
        raise StepFailed("The account has no default VPC in this region.", "Make one: aws ec2 create-default-vpc")
    raise StepFailed(f"The account has no VPC {wanted} in this region.", _NAME_ANOTHER)


def _is(wanted: str) -> bool:
    return wanted == DEFAULT_VPC


def _chosen(settings: NetworkSettings) -> list[dict[str, Any]]:
    if settings.subnets:
        return [{"Name": "subnet-id", "Values": list(settings.subnets)}]
    key, _, value = settings.subnet_tag.partition("=")
    return [{"Name": f"tag:{key}", "Values": [value]}] if key else []


def _table_of(subnet: str, tables: Iterable[State]) -> str:
    """The route table that is associated with the subnet, else the VPC's main one."""
    associated = {link.get("SubnetId"): table["RouteTableId"] for table in tables for link in table["Associations"]}
    main = (table["RouteTableId"] for table in tables if any(link.get("Main") for link in table["Associations"]))
    return str(associated.get(subnet) or next(main))


def _all(ec2: Any, operation: str, items: str, filters: list[dict[str, Any]]) -> list[Any]:
    return [one for page in ec2.get_paginator(operation).paginate(Filters=filters) for one in page[items]]
