"""The resources of the EC2 host: those of a run, and those that a project may have, to delete."""

from collections.abc import Callable

from infra import ownership, roles
from infra.blueprint import PROJECT_TAG, Blueprint
from infra.clients import Clients
from infra.ec2 import instances
from infra.ec2.requests import Ami, Network, host_name, ingress, key_name, launch_template
from infra.ec2.settings import Ec2Settings
from infra.ec2.user_data import Run
from infra.errors import StepFailed
from infra.resources import titles
from infra.resources.instance_profile import InstanceProfile
from infra.resources.key_pair import KeyPair
from infra.resources.launch_template import LaunchTemplate
from infra.resources.resource import Resource
from infra.resources.role import IamRole
from infra.resources.security_group import SecurityGroup


def of_run(
    clients: Clients,
    blueprint: Blueprint,
    host: Ec2Settings,
    run: Run,
    ami: Ami,
    network: Network,
    ssh: tuple[str, str] | None,
) -> list[Resource]:
    """What an instance of the run needs. `ssh` is the CIDR block that may come in and the public key, None opens
    nothing. Raises StepFailed when the user data is larger than AWS takes."""
    block, public_key = ssh or ("", "")
    key = key_name(blueprint, public_key) if public_key else ""
    try:
        data = launch_template(blueprint, host, run, ami, key)
    except ValueError as error:
        raise StepFailed(str(error), "Give fewer hyperparameters.") from None
    group = SecurityGroup(clients.ec2, host_name(blueprint), network.vpc, ingress(block), blueprint.tags)
    return [
        *_identity(clients, blueprint),
        group,
        *([KeyPair(clients.ec2, key, public_key, blueprint.tags)] if key else []),
        LaunchTemplate(clients.ec2, host_name(blueprint), data, group.id, blueprint.tags),
    ]


def existing(clients: Clients, blueprint: Blueprint, say: Callable[[str], None]) -> list[Resource]:
    """All that the project may have of EC2 hosts, whatever settings they were made with. What EC2 has is found by its
    tags; `say` is told of a role or a profile of that name that is somebody else's."""
    ec2, project = clients.ec2, blueprint.settings.project
    tagged = [{"Name": f"tag:{PROJECT_TAG}", "Values": [project]}]
    named = [*tagged, {"Name": "group-name", "Values": [host_name(blueprint)]}]
    groups = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    templates = ec2.describe_launch_templates(Filters=tagged)["LaunchTemplates"]
    keys = ec2.describe_key_pairs(Filters=tagged)["KeyPairs"]
    return [
        *(one for resource in _identity(clients, blueprint) for one in ownership.ours([resource], say)),
        *(SecurityGroup(ec2, one["GroupName"], one["VpcId"], [], blueprint.tags) for one in groups),
        *(KeyPair(ec2, one["KeyName"]) for one in keys),
        *(LaunchTemplate(ec2, one["LaunchTemplateName"], {}, lambda: None, blueprint.tags) for one in templates),
        *(
            instances.Ec2Host(clients, one["InstanceId"])
            for one in instances.of_project(ec2, project, (*instances.WORKING, *instances.ENDING))
        ),
    ]


def _identity(clients: Clients, blueprint: Blueprint) -> list[Resource]:
    return [
        IamRole(clients.iam, roles.ec2(blueprint), titles.EC2_ROLE, blueprint.tags),
        InstanceProfile(clients.iam, blueprint.role("ec2"), blueprint.tags),
    ]
