from typing import Any

import pytest

from infra.ownership import NotOurs
from infra.resources.jobs_group import JobsGroup
from infra.resources.resource import Change
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]
HTTPS = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
TOGETHER = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-1", "UserId": "123456789012"}]}
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


def group(**members: Any) -> tuple[FakeClient, JobsGroup]:
    found = {
        "GroupId": "sg-1", "Tags": TAGS, "IpPermissions": [TOGETHER], "IpPermissionsEgress": [HTTPS, TOGETHER],
        **members,
    }  # fmt: skip
    client = FakeClient({"describe_security_groups": {"SecurityGroups": [found]}})
    return client, JobsGroup(client, "dogs-jobs-vpc-1", "vpc-1", TAGS)


def test_one_that_is_as_wanted_whatever_the_order() -> None:
    _, one = group()
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


def test_a_new_one_has_its_rules_in_place_of_those_of_aws() -> None:
    client, one = group(IpPermissions=[], IpPermissionsEgress=[EVERYTHING])
    one.create()
    assert client.names() == [
        "create_security_group", "describe_security_groups", "revoke_security_group_egress",
        "authorize_security_group_ingress", "authorize_security_group_egress",
    ]  # fmt: skip
    for name, members in client.calls:
        check("ec2", "".join(part.title() for part in name.split("_")), members)


def test_what_others_have_opened_is_closed() -> None:
    client, one = group(IpPermissions=[TOGETHER, EVERYTHING])
    state = one.read()
    assert state is not None
    (change,) = one.diff(state)
    assert isinstance(change, Change)
    assert "all ports in from 0.0.0.0/0" in change.old
    one.update(state, [change])
    assert client.calls[1][1]["IpPermissions"] == [TOGETHER, EVERYTHING]


def test_one_of_another_project_is_not_touched() -> None:
    _, one = group(Tags=[])
    with pytest.raises(NotOurs):
        one.read()
