"""The security group of the EC2 host: nothing comes in, or ssh from one block."""

from typing import Any

import pytest

from infra.ec2.requests import ingress
from infra.ownership import NotOurs
from infra.resources.security_group import SecurityGroup
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient

TAGS = [{"Key": "stagemaker:project", "Value": "dogs"}]
ANYBODY = {
    "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "UserIdGroupPairs": [],
}  # fmt: skip


def group(block: str, *rules: dict[str, Any], tags: list[dict[str, str]] = TAGS) -> tuple[FakeClient, SecurityGroup]:
    """The group that is open to `block`, where EC2 has one with these rules for what comes in."""
    found = {"GroupId": "sg-01234567", "IpPermissions": list(rules), "Tags": tags}
    client = FakeClient({"describe_security_groups": {"SecurityGroups": [found]}})
    return client, SecurityGroup(client, "dogs-host", "vpc-01234567", ingress(block), TAGS)


def made(block: str) -> tuple[list[tuple[str, dict[str, Any]]], str]:
    """The calls by which a new group is made, and the remark."""
    nothing = {"describe_security_groups": {"SecurityGroups": []}, "create_security_group": {"GroupId": "sg-01234567"}}
    client = FakeClient(nothing)
    one = SecurityGroup(client, "dogs-host", "vpc-01234567", ingress(block), TAGS)
    assert one.read() is None
    assert one.id() is None
    client.calls.clear()
    return client.calls, one.create()


def test_a_new_one_is_open_to_nothing() -> None:
    calls, remark = made("")
    assert [name for name, _ in calls] == ["create_security_group"]
    assert calls[0][1]["VpcId"] == "vpc-01234567"
    assert remark == "open: nothing"
    check("ec2", "CreateSecurityGroup", calls[0][1])


@pytest.mark.parametrize("block", ["203.0.113.7/32", "2001:db8::1/128"])
def test_a_new_one_is_open_to_ssh_from_a_block(block: str) -> None:
    calls, remark = made(block)
    assert [name for name, _ in calls] == ["create_security_group", "authorize_security_group_ingress"]
    assert remark == f"open: tcp 22 from {block}"
    check("ec2", "AuthorizeSecurityGroupIngress", calls[1][1])


@pytest.mark.parametrize("block", ["", "203.0.113.7/32"])
def test_one_with_its_rules_is_as_wanted(block: str) -> None:
    rules = [{**rule, "UserIdGroupPairs": []} for rule in ingress(block)]  # as EC2 tells it
    _, one = group(block, *rules)
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    assert one.id() == "sg-01234567"


@pytest.mark.parametrize(("block", "new"), [("", "nothing"), ("203.0.113.7/32", '["tcp 22 from 203.0.113.7/32"]')])
def test_what_somebody_has_opened_is_shown_and_closed(block: str, new: str) -> None:
    client, one = group(block, ANYBODY)
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert [str(change) for change in changes] == [f'open: ["tcp 22 from 0.0.0.0/0"] -> {new}']
    client.calls.clear()
    one.update(state, changes)
    revoked = client.calls[0]
    assert revoked == ("revoke_security_group_ingress", {"GroupId": "sg-01234567", "IpPermissions": [ANYBODY]})
    assert [request["IpPermissions"] for _, request in client.calls[1:]] == ([ingress(block)] if block else [])


def test_it_is_found_in_its_vpc_and_one_of_somebody_else_is_never_changed() -> None:
    client, one = group("")
    one.delete()
    assert client.calls[-1] == ("delete_security_group", {"GroupId": "sg-01234567"})
    assert {"Name": "vpc-id", "Values": ["vpc-01234567"]} in client.calls[0][1]["Filters"]
    with pytest.raises(NotOurs, match="dogs-host is there already"):
        group("", tags=[])[1].read()
