"""The launch template of the EC2 host: made, compared, and changed by a version that is the default."""

from typing import Any

import pytest

from infra.ownership import NotOurs
from infra.resources.launch_template import LaunchTemplate
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]
DATA = {
    "ImageId": "ami-0123456789abcdef0",
    "InstanceType": "m5.xlarge",
    "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
    "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8}}],
    "UserData": "IyEvYmluL2Jhc2g=",
}
OURS = {"LaunchTemplateId": "lt-0123456789abcdef0", "LaunchTemplateName": "dogs-host", "Tags": TAGS}


def template(
    found: dict[str, Any] | None = None, described: dict[str, Any] = OURS, group: str | None = "sg-01234567"
) -> tuple[FakeClient, LaunchTemplate]:
    """The template, where EC2 has one whose default version is `found`."""
    client = FakeClient(
        {
            "describe_launch_templates": {"LaunchTemplates": [described] if found else []},
            "describe_launch_template_versions": {"LaunchTemplateVersions": [{"LaunchTemplateData": found}]},
            "create_launch_template_version": {"LaunchTemplateVersion": {"VersionNumber": 7}},
        }
    )
    return client, LaunchTemplate(client, "dogs-host", DATA, lambda: group, TAGS)


AS_WANTED: dict[str, Any] = {**DATA, "SecurityGroupIds": ["sg-01234567"]}


def test_a_new_one_has_the_security_group_that_aws_has_named_and_the_tags() -> None:
    client, one = template()
    assert one.read() is None
    one.create()
    name, request = client.calls[-1]
    assert (name, request["LaunchTemplateData"]) == ("create_launch_template", AS_WANTED)
    assert request["TagSpecifications"] == [{"ResourceType": "launch-template", "Tags": TAGS}]
    check("ec2", "CreateLaunchTemplate", request)


def test_what_aws_adds_is_no_difference() -> None:
    options = {**AS_WANTED["MetadataOptions"], "State": "applied", "HttpProtocolIpv6": "disabled"}
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Iops": 3000}}]
    client, one = template({**AS_WANTED, "MetadataOptions": options, "BlockDeviceMappings": mappings})
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    assert dict(client.calls)["describe_launch_template_versions"]["Versions"] == ["$Default"]


def test_a_key_that_is_not_wanted_any_more_is_a_difference() -> None:
    """AWS adds no key by itself."""
    mappings = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "KmsKeyId": "k"}}]
    _, one = template({**AS_WANTED, "BlockDeviceMappings": mappings})
    (change,) = one.diff(one.read() or {})
    assert (change.member, change.old, change.new) == ("BlockDeviceMappings", mappings, DATA["BlockDeviceMappings"])


@pytest.mark.parametrize(
    ("members", "change"),
    [
        ({"ImageId": "ami-old"}, "ImageId: ami-old -> ami-0123456789abcdef0"),
        (
            {"MetadataOptions": {"HttpTokens": "optional", "HttpPutResponseHopLimit": 2}},
            "MetadataOptions.HttpTokens: optional -> required",
        ),
        ({"SecurityGroupIds": ["sg-01234567", "sg-9"]}, 'SecurityGroupIds: ["sg-01234567", "sg-9"] -> ["sg-01234567"]'),
        ({"KeyName": "somebody's"}, "KeyName: somebody's -> none"),
        ({"UserData": "b3RoZXI="}, "UserData: SHA-256 b6bd5b9455f0 -> SHA-256 259e015b5d14"),
    ],
)
def test_drift_is_shown_and_made_the_default_version(members: dict[str, Any], change: str) -> None:
    client, one = template({**AS_WANTED, **members})
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert [str(each) for each in changes] == [change]
    assert one.update(state, changes) == "version 7"
    made, default = (request for _, request in client.calls[-2:])
    assert made["LaunchTemplateData"] == AS_WANTED
    assert (default["LaunchTemplateId"], default["DefaultVersion"]) == (OURS["LaunchTemplateId"], "7")
    check("ec2", "CreateLaunchTemplateVersion", made)
    check("ec2", "ModifyLaunchTemplate", default)


def test_one_of_somebody_else_is_never_changed() -> None:
    with pytest.raises(NotOurs, match="dogs-host is there already"):
        template(AS_WANTED, {**OURS, "Tags": []})[1].read()


def test_it_is_deleted_with_its_versions() -> None:
    client, one = template(AS_WANTED)
    one.delete()
    assert client.calls == [("delete_launch_template", {"LaunchTemplateName": "dogs-host"})]
