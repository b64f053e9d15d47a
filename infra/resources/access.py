"""IAM roles, each with one inline policy that says all it may do."""

import json
from typing import Any

from botocore.exceptions import ClientError

from infra.plan import Role
from infra.resources import CREATED, UNCHANGED, UPDATED, Change, is_missing


def ensure_role(iam: Any, role: Role) -> Change:
    """The role with just this trust and this policy: other inline and attached policies are taken off."""
    found = _find(iam, role.name)
    if found is None:
        iam.create_role(
            RoleName=role.name, Description=role.description, AssumeRolePolicyDocument=json.dumps(role.trust)
        )
        iam.put_role_policy(RoleName=role.name, PolicyName=role.policy_name, PolicyDocument=json.dumps(role.policy))
        return CREATED
    change: Change = UNCHANGED
    if found["AssumeRolePolicyDocument"] != role.trust:
        iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(role.trust))
        change = UPDATED
    if _remove_policies(iam, role.name, keep=role.policy_name):
        change = UPDATED
    if _policy(iam, role) != role.policy:
        iam.put_role_policy(RoleName=role.name, PolicyName=role.policy_name, PolicyDocument=json.dumps(role.policy))
        change = UPDATED
    return change


def destroy_role(iam: Any, role: Role) -> bool:
    """Delete the role and its policies; whether there was one."""
    if _find(iam, role.name) is None:
        return False
    _remove_policies(iam, role.name, keep=None)
    iam.delete_role(RoleName=role.name)
    return True


def _find(iam: Any, name: str) -> dict[str, Any] | None:
    try:
        return dict(iam.get_role(RoleName=name)["Role"])
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _policy(iam: Any, role: Role) -> dict[str, Any] | None:
    try:
        return dict(iam.get_role_policy(RoleName=role.name, PolicyName=role.policy_name)["PolicyDocument"])
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def _remove_policies(iam: Any, name: str, keep: str | None) -> bool:
    inline = [policy for policy in iam.list_role_policies(RoleName=name)["PolicyNames"] if policy != keep]
    for policy in inline:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    for policy in attached:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    return bool(inline or attached)
