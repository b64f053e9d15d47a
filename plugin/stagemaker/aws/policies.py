"""The policies of users, groups and roles, read through IAM's own API, for the policy simulator."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from stagemaker.access.simulate import SourcePolicy, simulate_custom_policy, simulate_principal_policy
from stagemaker.aws.clients import Clients
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

AWS_ACCOUNT = "aws"  # of the ARNs of AWS's managed policies


KINDS = ("user", "group", "role")  # of principals, as the names of IAM's operations and ARNs have them


class PolicySimulator:
    """SimulatePrincipalPolicy and SimulateCustomPolicy over the policies that IAM has. Thread-safe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def simulate_custom_policy(self, _scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The decision of the policies in the request alone. Raises ApiError with the code InvalidInput."""
        return simulate_custom_policy(request)

    def simulate_principal_policy(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The decision of what PolicySourceArn has: its own and its attached policies, a user's groups, the boundary.

        Raises ApiError: InvalidInput for an ARN that is none of a user, group or role of the account, NoSuchEntity
        (404) when there is none."""
        kind, name = _principal(scope, request["PolicySourceArn"])
        iam = self._clients("iam", scope)
        try:
            attached = list(_policies(iam, kind, name))
            if kind == "user":
                for page in iam.get_paginator("list_groups_for_user").paginate(UserName=name):
                    for group in page["Groups"]:
                        attached += _policies(iam, "group", group["GroupName"])
            boundary = _boundary(iam, kind, name)
        except ClientError as error:
            details = error.response
            status = details["ResponseMetadata"]["HTTPStatusCode"]
            raise ApiError(details["Error"]["Code"], details["Error"]["Message"], status) from error
        return simulate_principal_policy(request, attached, boundary)


def _principal(scope: Scope, arn: str) -> tuple[str, str]:
    fields = arn.split(":", 5)
    kind, _, path = fields[-1].partition("/")
    if len(fields) != 6 or fields[2] != "iam" or fields[4] != scope.account or kind not in KINDS or not path:
        raise ApiError("InvalidInput", f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")
    return kind, path.rpartition("/")[2]


def _policies(iam: Any, kind: str, name: str) -> Iterator[SourcePolicy]:
    """The inline and the attached policies of one user, group or role."""
    whose = _whose(kind, name)
    for page in iam.get_paginator(f"list_{kind}_policies").paginate(**whose):
        for policy in page["PolicyNames"]:
            text = getattr(iam, f"get_{kind}_policy")(**whose, PolicyName=policy)["PolicyDocument"]
            yield SourcePolicy(f"{kind}_{name}_{policy}", kind, _text(text))
    for page in iam.get_paginator(f"list_attached_{kind}_policies").paginate(**whose):
        for policy in page["AttachedPolicies"]:
            yield _managed(iam, policy["PolicyArn"])


def _boundary(iam: Any, kind: str, name: str) -> SourcePolicy | None:
    """Groups have none."""
    if kind == "group":
        return None
    entity = getattr(iam, f"get_{kind}")(**_whose(kind, name))[kind.capitalize()]
    arn = entity.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    return _managed(iam, arn) if arn else None


def _managed(iam: Any, arn: str) -> SourcePolicy:
    """The default version of a managed policy."""
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    kind = "aws-managed" if arn.split(":")[4] == AWS_ACCOUNT else "user-managed"
    return SourcePolicy(policy["PolicyName"], kind, _text(version["Document"]))


def _whose(kind: str, name: str) -> dict[str, str]:
    """The member of a request that names the principal."""
    return {f"{kind.capitalize()}Name": name}


def _text(document: str | Mapping[str, Any]) -> str:
    """boto3 has read the JSON of a document already."""
    return document if isinstance(document, str) else json.dumps(document)
