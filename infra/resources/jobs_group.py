"""The security group of jobs and endpoints in a VPC: out by HTTPS, and everything among themselves."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.network.requests import rules, rules_as_text
from infra.resources import titles
from infra.resources.resource import Change, Resource, State
from infra.resources.security_group import find_group


class JobsGroup(Resource):
    """The security group by its name in a VPC, with its rules and no others."""

    title = titles.JOBS_GROUP
    held_limit_s = 900.0  # (ours) SageMaker gives network interfaces back some time after a job or an endpoint

    def __init__(self, ec2: Any, name: str, vpc: str, tags: Sequence[Mapping[str, str]]) -> None:
        self._ec2, self.name, self._vpc, self._tags = ec2, name, vpc, list(tags)

    def read(self) -> State | None:
        """DescribeSecurityGroups' answer for it, or None. Raises NotOurs when somebody else has made a group of that
        name."""
        return find_group(self._ec2, self.title, self.name, self._vpc, self._tags)

    def diff(self, state: State) -> list[Change]:
        """Its rules."""
        old = rules_as_text(state["IpPermissions"], state["IpPermissionsEgress"])
        new = rules_as_text(*rules(state["GroupId"]))
        return [] if old == new else [Change("rules", old, new)]

    def create(self) -> str:
        """Make it with its rules, in place of AWS's, which let everything out."""
        tags = [{"ResourceType": "security-group", "Tags": self._tags}]
        description = "Training jobs and endpoints of Stagemaker"
        self._ec2.create_security_group(
            GroupName=self.name, Description=description, VpcId=self._vpc, TagSpecifications=tags
        )
        state = self.read()
        return self.update(state, []) if state else ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put its rules in place of those that it has."""
        group = {"GroupId": state["GroupId"]}
        if state["IpPermissions"]:
            self._ec2.revoke_security_group_ingress(**group, IpPermissions=state["IpPermissions"])
        if state["IpPermissionsEgress"]:
            self._ec2.revoke_security_group_egress(**group, IpPermissions=state["IpPermissionsEgress"])
        ingress, egress = rules(state["GroupId"])
        self._ec2.authorize_security_group_ingress(**group, IpPermissions=ingress)
        self._ec2.authorize_security_group_egress(**group, IpPermissions=egress)
        return ""

    def delete(self) -> None:
        """Delete it. AWS refuses that as long as a network interface has it."""
        if state := self.read():
            self._ec2.delete_security_group(GroupId=state["GroupId"])
