"""IAM roles, each with one inline policy that says all it may do."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from infra import ownership
from infra.patience import once_seen
from infra.resources.resource import Change, Resource, State, differences, find
from infra.roles import POLICY_NAME, Role


class IamRole(Resource):
    """The role with just its trust and its policy: other inline and attached policies are taken off. Its `tags` say
    whose it is."""

    def __init__(self, iam: Any, role: Role, title: str, tags: Sequence[dict[str, str]] = ()) -> None:
        self._iam, self._role, self._tags = iam, role, list(tags)
        self.title, self.name = title, role.name

    def read(self) -> State | None:
        """`trust`, `policy` (None without), the names of `other` inline policies and the ARNs of `attached` ones.
        Raises NotOurs when somebody else has made a role of that name."""
        found = find(self._iam.get_role, RoleName=self.name)
        if found is None:
            return None
        ownership.check(self.title, self.name, found["Role"].get("Tags", []), self._tags)
        policy = find(self._iam.get_role_policy, RoleName=self.name, PolicyName=POLICY_NAME)
        return {
            "trust": found["Role"]["AssumeRolePolicyDocument"],
            "policy": policy["PolicyDocument"] if policy else None,
            "other": [name for name in self._inline() if name != POLICY_NAME],
            "attached": self._attached(),
        }

    def diff(self, state: State) -> list[Change]:
        """By statement of the policy."""
        return [
            *differences({"trust": self._role.trust, "other": [], "attached": []}, state),
            *_policy_changes(state["policy"], self._role.policy),
        ]

    def create(self) -> str:
        """Make the role, then its policy, once IAM finds the role. Other services may know it only later."""
        trust = json.dumps(self._role.trust)
        request = {"RoleName": self.name, "Description": self._role.description, "AssumeRolePolicyDocument": trust}
        self._iam.create_role(**request, Tags=self._tags)
        once_seen(self._put_policy)
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put the trust and the policy, and take off the others, where they differ."""
        members = {change.member for change in changes}
        if "trust" in members:
            self._iam.update_assume_role_policy(RoleName=self.name, PolicyDocument=json.dumps(self._role.trust))
        self._take_off(state["other"], state["attached"])
        if members - {"trust", "other", "attached"}:
            self._put_policy()
        return ""

    def delete(self) -> None:
        """Delete the role and its policies."""
        self._take_off(self._inline(), self._attached())
        self._iam.delete_role(RoleName=self.name)

    def _put_policy(self) -> None:
        policy = json.dumps(self._role.policy)
        self._iam.put_role_policy(RoleName=self.name, PolicyName=POLICY_NAME, PolicyDocument=policy)

    def _take_off(self, inline: list[str], attached: list[str]) -> None:
        for name in inline:
            self._iam.delete_role_policy(RoleName=self.name, PolicyName=name)
        for arn in attached:
            self._iam.detach_role_policy(RoleName=self.name, PolicyArn=arn)

    def _inline(self) -> list[str]:
        return list(self._iam.list_role_policies(RoleName=self.name)["PolicyNames"])

    def _attached(self) -> list[str]:
        found = self._iam.list_attached_role_policies(RoleName=self.name)["AttachedPolicies"]
        return [policy["PolicyArn"] for policy in found]


def _policy_changes(found: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[Change]:
    if found == wanted:
        return []
    old, new = _by_sid(found or {}), _by_sid(wanted)
    changes = [Change(f"statement {sid}", old.get(sid), new.get(sid)) for sid in {**new, **old}]
    return [change for change in changes if change.old != change.new] or [Change("policy", found, wanted)]


def _by_sid(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy that someone else wrote may hold one statement in place of a list, and statements without Sid."""
    statements = policy.get("Statement", [])
    listed = [statements] if isinstance(statements, Mapping) else statements
    return {statement.get("Sid", f"number {number}"): statement for number, statement in enumerate(listed)}
