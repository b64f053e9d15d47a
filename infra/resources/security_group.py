"""The security group of the EC2 host: what may come in is nothing, or ssh from one address."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra import ownership
from infra.ec2.requests import tag_specifications
from infra.network.requests import whom_of
from infra.resources import titles
from infra.resources.resource import Change, Resource, State


class SecurityGroup(Resource):
    """A security group with just the rules `ingress` for what comes in, and AWS's for what goes out, which allows all:
    the host calls S3, ECR and Systems Manager."""

    title = titles.SECURITY_GROUP

    def __init__(
        self, ec2: Any, name: str, vpc: str, ingress: Sequence[Mapping[str, Any]], tags: Sequence[Mapping[str, str]]
    ) -> None:
        self._ec2, self.name, self._vpc, self._ingress, self._tags = ec2, name, vpc, list(ingress), tags

    def id(self) -> str | None:
        """Its id, which AWS chooses; None when there is none."""
        found = self.read()
        return str(found["GroupId"]) if found else None

    def read(self) -> State | None:
        """DescribeSecurityGroups' answer for it, or None. Raises NotOurs when somebody else has made a group of that
        name."""
        return find_group(self._ec2, self.title, self.name, self._vpc, self._tags)

    def diff(self, state: State) -> list[Change]:
        """Who may come in, at which ports."""
        old, new = _rules(state["IpPermissions"]), _rules(self._ingress)
        return [] if old == new else [Change("open", old or "nothing", new or "nothing")]

    def create(self) -> str:
        """Make it with its rules."""
        made = self._ec2.create_security_group(
            GroupName=self.name,
            Description="The EC2 host that trains",
            VpcId=self._vpc,
            TagSpecifications=tag_specifications("security-group", self._tags),
        )
        self._open(made["GroupId"])
        return self._remark()

    def update(self, state: State, changes: list[Change]) -> str:
        """Put its rules in place of those that it has."""
        if state["IpPermissions"]:
            self._ec2.revoke_security_group_ingress(GroupId=state["GroupId"], IpPermissions=state["IpPermissions"])
        self._open(state["GroupId"])
        return self._remark()

    def delete(self) -> None:
        """Delete it. AWS refuses that as long as an instance has it."""
        if group := self.id():
            self._ec2.delete_security_group(GroupId=group)

    def _open(self, group: str) -> None:
        if self._ingress:
            self._ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=self._ingress)

    def _remark(self) -> str:
        return f"open: {', '.join(_rules(self._ingress)) or 'nothing'}"


def find_group(ec2: Any, title: str, name: str, vpc: str, tags: Sequence[Mapping[str, str]]) -> State | None:
    """What DescribeSecurityGroups says of the group of that name in the VPC, or None. Raises NotOurs when somebody else
    has made it."""
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    found = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    if not found:
        return None
    ownership.check(title, name, found[0].get("Tags", []), tags)
    return dict(found[0])


def _rules(permissions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each rule as text, such as `tcp 22 from 203.0.113.7/32`, sorted."""
    return sorted(
        f"{one['IpProtocol']} {one.get('FromPort', 'all')} from {block}"
        for one in permissions
        for block in whom_of(one)
    )
