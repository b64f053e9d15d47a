"""The resources of a run, in their order, and what is deleted of a project's hosts."""

from typing import Any

import pytest

from infra import engine
from infra.blueprint import Blueprint, Image
from infra.ec2.requests import Ami, Network, run_of
from infra.ec2.resources import existing, of_run
from infra.ec2.settings import Ec2Settings
from infra.errors import StepFailed
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.ec2.hosts import described, instance
from tests.unit.infra.fakes import NOTHING_IN_EC2, FakeClient, fake_clients

BLUEPRINT = Blueprint(DeploymentSettings(tags={"team": "dogs"}), "123456789012", "ab" * 32)
IMAGE = Image("123456789012.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer@sha256:" + "ab" * 32, "its layers")
AMI = Ami("ami-0123456789abcdef0", "/dev/xvda", 8)
TAGS = [{"Key": "stagemaker:project", "Value": "stagemaker-demo"}]


def made(ssh: tuple[str, str] | None = None, **settings: Any) -> tuple[FakeClient, list[Any]]:
    """The resources of a run where nothing is there yet."""
    host, ec2 = Ec2Settings(**settings), FakeClient(NOTHING_IN_EC2)
    run = run_of(BLUEPRINT, host, IMAGE)
    network = Network("vpc-01234567", {})
    return ec2, engine.order(of_run(fake_clients(ec2=ec2), BLUEPRINT, host, run, AMI, network, ssh))


def test_a_host_has_a_role_a_profile_a_group_and_a_template_and_no_key() -> None:
    _, resources = made()
    assert [one.title.removesuffix(" of the EC2 host") for one in resources] == [
        "Role", "Instance profile", "Security group", "Launch template",
    ]  # fmt: skip


def test_what_is_made_for_ssh_is_what_aws_takes_and_carries_the_tags() -> None:
    ec2, resources = made(("203.0.113.7/32", "ssh-ed25519 AAAA me"))
    ec2.answers["create_security_group"] = {"GroupId": "sg-01234567"}
    for one in resources[2:]:
        one.create()
    requests = {name: request for name, request in ec2.calls if not name.startswith("describe")}
    for name, request in requests.items():
        check("ec2", "".join(part.title() for part in name.split("_")), request)
    for name in ("create_security_group", "import_key_pair", "create_launch_template"):
        assert requests[name]["TagSpecifications"][0]["Tags"] == BLUEPRINT.tags
    key = requests["import_key_pair"]["KeyName"]
    assert requests["create_launch_template"]["LaunchTemplateData"]["KeyName"] == key
    _, others = made(("203.0.113.7/32", "ssh-ed25519 BBBB me"))
    assert key != next(one.name for one in others if one.title.startswith("Key pair")), "AWS changes no key"


def test_too_many_hyperparameters_are_told_before_anything_is_made() -> None:
    with pytest.raises(StepFailed, match="and AWS takes 16,384"):
        made(hyperparameters={f"name-{number}": "x" * 100 for number in range(100)})


def test_all_that_carries_the_project_s_tag_is_found_to_delete() -> None:
    ec2 = FakeClient(
        {
            "describe_security_groups": {"SecurityGroups": [{"GroupName": "stagemaker-demo-host", "VpcId": "vpc-2"}]},
            "describe_launch_templates": {"LaunchTemplates": [{"LaunchTemplateName": "stagemaker-demo-host"}]},
            "describe_key_pairs": {"KeyPairs": [{"KeyName": "stagemaker-demo-host-0123456789"}]},
            "describe_instances": described(instance("stopped")),
        }
    )
    found = existing(fake_clients(ec2=ec2), BLUEPRINT, print)
    assert [one.title for one in engine.order(found)][-2:] == ["Launch template of the EC2 host", "EC2 host"]
    assert {one.title for one in found} >= {"Security group of the EC2 host", "Key pair of the EC2 host"}
    for _, request in ec2.calls:
        assert {"Name": "tag:stagemaker:project", "Values": ["stagemaker-demo"]} in request["Filters"]
    states = next(request["Filters"][2]["Values"] for name, request in ec2.calls if name == "describe_instances")
    assert set(states) == {"pending", "running", "stopping", "stopped", "shutting-down"}
