"""The resources of a deployment's network: those that it makes, and those that a project may have, to delete."""

from infra.blueprint import PROJECT_TAG, Blueprint
from infra.clients import Clients
from infra.network.requests import Vpc, group_name
from infra.resource_policies import s3_endpoint
from infra.resources.jobs_group import JobsGroup
from infra.resources.resource import Resource
from infra.resources.s3_endpoint import THERE, S3Endpoint


def wanted(clients: Clients, blueprint: Blueprint) -> list[Resource]:
    """The security group of jobs and endpoints, and the gateway endpoint of S3 where the settings have one; nothing
    without a VPC. The VPC and its subnets are the account's, and stay as they are."""
    vpc, network = blueprint.vpc, blueprint.settings.network
    if vpc is None or network is None:
        return []
    group = JobsGroup(clients.ec2, group_name(blueprint.settings.project, vpc.id), vpc.id, blueprint.tags)
    if network.gateway_endpoint:
        return [group, _endpoint(clients, blueprint, vpc)]
    unwanted = _endpoint(clients, blueprint, Vpc(vpc.id, (), ()))
    unwanted.is_wanted = False
    return [group, unwanted]


def existing(clients: Clients, blueprint: Blueprint) -> list[Resource]:
    """All that the project has of a network, in whatever VPC, found by its tag."""
    tagged = [{"Name": f"tag:{PROJECT_TAG}", "Values": [blueprint.settings.project]}]
    groups = clients.ec2.describe_security_groups(Filters=tagged)["SecurityGroups"]
    endpoints = clients.ec2.describe_vpc_endpoints(Filters=tagged)["VpcEndpoints"]
    return [
        *(
            JobsGroup(clients.ec2, one["GroupName"], one["VpcId"], blueprint.tags)
            for one in groups
            if one["GroupName"] == group_name(blueprint.settings.project, one["VpcId"])
        ),
        *(
            _endpoint(clients, blueprint, Vpc(one["VpcId"], (), ()))
            for one in endpoints
            if one["State"].lower() in THERE
        ),
    ]


def _endpoint(clients: Clients, blueprint: Blueprint, vpc: Vpc) -> S3Endpoint:
    policy = s3_endpoint(blueprint).policy
    return S3Endpoint(clients.ec2, blueprint.settings.region, vpc, policy, blueprint.tags)
