"""The roles that jobs and endpoints run under."""

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.aws.clients import Clients
from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope

PRINCIPAL = "sagemaker.amazonaws.com"


class Iam:
    """Roles of the caller's account. Thread-safe."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def role_environment(self, scope: Scope, role_arn: str) -> dict[str, str]:
        """The environment that gives a container the role's credentials and the gateway.

        ValidationException, in AWS's words, when the role does not exist or does not trust SageMaker.
        """
        if role_arn.split(":")[4] != scope.account:
            raise validation_error("Cross-account pass role is not allowed.")
        try:
            role = self._clients("iam", scope).get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
            if role["Arn"] != role_arn or not trusts_sagemaker(role["AssumeRolePolicyDocument"]):
                raise _no_role(role_arn)
        except (BotoCoreError, ClientError) as error:
            raise _no_role(role_arn) from error
        credentials = self.role_credentials(scope, role_arn)
        return {
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            "AWS_SESSION_TOKEN": credentials.token,
            "AWS_REGION": scope.region,
            "AWS_DEFAULT_REGION": scope.region,
            "AWS_ENDPOINT_URL": self._clients.gateway_url,
        }

    def role_credentials(self, scope: Scope, role_arn: str) -> Credentials:
        """Fresh ones, for an hour. ValidationException when the role is gone."""
        try:
            sts = self._clients("sts", scope)
            made = sts.assume_role(RoleArn=role_arn, RoleSessionName="SageMaker")["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise _no_role(role_arn) from error
        return Credentials(
            role_arn, made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], made["Expiration"].timestamp()
        )


def trusts_sagemaker(policy: str | Mapping[str, Any]) -> bool:
    """Whether a trust policy allows SageMaker's service principal; conditions are not looked at."""
    document = json.loads(policy) if isinstance(policy, str) else policy
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal if isinstance(principal, str) else principal.get("Service", [])
        allowed = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and {PRINCIPAL, "*"} & set(allowed):
            return True
    return False


def _no_role(arn: str) -> ApiError:
    return validation_error(
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal '{PRINCIPAL}' "
        "to assume the role."
    )
