"""The roles that jobs and endpoints run under."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.access.evaluate import Outcome, Policies, decide
from stagemaker.access.policy import PolicyError, read_policy
from stagemaker.access.request import AccessRequest, Principal, read_context
from stagemaker.access.sessions import SUBNET_PROVIDER
from stagemaker.aws.clients import Clients, RoleCredentials
from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError, RoleRefused, validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.role_session import RoleSession

PRINCIPAL = "sagemaker.amazonaws.com"
EC2, INSTANCE_S = "ec2.amazonaws.com", 21_600  # who assumes the role of an instance profile, and for how long
SESSION = "SageMaker"  # the name of every session, as on AWS
MOST_ROLES = 64  # (ours) whose clients are kept: those of one more replace those that were used longest ago


class Iam:
    """Roles of the caller's account. Thread-safe. `clock` is epoch seconds.

    What the stage itself does under a role shares one session, which is renewed as long as the role allows it."""

    def __init__(self, clients: Clients, clock: Callable[[], float]) -> None:
        self._clients, self._clock = clients, clock
        self._lock = threading.Lock()
        self._roles: OrderedDict[tuple[str, str], _Role] = OrderedDict()

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]:
        """The environment that gives a container the role's credentials and the gateway. `source_arn` is that of the
        job, the model or the endpoint for which the role is assumed, and `subnet` is the id of the subnet in which
        that runs.

        ValidationException, in AWS's words, when the role does not exist or does not let SageMaker assume it.
        """
        if _account(role_arn) != scope.account:
            raise validation_error("Cross-account pass role is not allowed.")
        credentials = self.role_credentials(scope, role_arn, source_arn, subnet)
        self._role(role_arn, subnet).take(credentials, source_arn)
        return {
            **credentials.variables,
            "AWS_REGION": scope.region,
            "AWS_DEFAULT_REGION": scope.region,
            "AWS_ENDPOINT_URL": self._clients.gateway_url,
        }

    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials:
        """Fresh ones, for an hour, whose requests come from the subnet. ValidationException as `role_environment`."""
        where = {"ProvidedContexts": [{"ProviderArn": SUBNET_PROVIDER, "ContextAssertion": subnet}]} if subnet else {}
        try:
            role = self._clients("iam", scope).get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
            if role["Arn"] != role_arn or not may_assume(role["AssumeRolePolicyDocument"], role_arn, source_arn):
                raise RoleRefused(role_arn)
            sts = self._clients("sts", scope)
            made = sts.assume_role(RoleArn=role_arn, RoleSessionName=SESSION, **where)["Credentials"]
        except (BotoCoreError, ClientError) as error:
            raise RoleRefused(role_arn) from error
        return Credentials.issued(role_arn, made)

    def instance_credentials(self, scope: Scope, role_arn: str, instance_id: str) -> Credentials:
        """Fresh ones for an EC2 instance, whose id names the session, as on AWS. UnauthorizedOperation when the role
        does not exist or does not let EC2 assume it."""
        name = role_arn.rpartition("/")[2]
        source = scope.arn("ec2", f"instance/{instance_id}")
        refused = ApiError(
            "UnauthorizedOperation",
            f"EC2 cannot assume the role {name}. Please see documentation at "
            "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html",
            403,
        )
        try:
            role = self._clients("iam", scope).get_role(RoleName=name)["Role"]
            if not may_assume(role["AssumeRolePolicyDocument"], role_arn, source, EC2):
                raise refused
            sts = self._clients("sts", scope)
            made = sts.assume_role(RoleArn=role_arn, RoleSessionName=instance_id, DurationSeconds=INSTANCE_S)
        except (BotoCoreError, ClientError) as error:
            raise refused from error
        return Credentials.issued(role_arn, made["Credentials"])

    def clients(self, role_arn: str, subnet: str = "") -> Clients:
        """Those that act with the rights of the role, in the subnet. Their calls raise as `role_environment`."""
        return self._role(role_arn, subnet).clients

    def _role(self, role_arn: str, subnet: str) -> "_Role":
        key = role_arn, subnet
        with self._lock:
            if key not in self._roles:
                issue = partial(self.role_credentials, subnet=subnet)
                self._roles[key] = _Role(role_arn, issue, self._clock, self._clients.gateway_url)
                if len(self._roles) > MOST_ROLES:
                    self._roles.popitem(last=False)
            self._roles.move_to_end(key)
            return self._roles[key]


class _Role:
    """One role, in a subnet or in none, with what acts under it. Thread-safe. `issue` is `Iam.role_credentials`."""

    def __init__(
        self, arn: str, issue: Callable[[Scope, str, str], Credentials], clock: Callable[[], float], gateway_url: str
    ) -> None:
        scope = Scope(_account(arn), "us-east-1")  # IAM and STS are the same in each region
        self._source_arn = scope.arn("sagemaker", "*")
        self._session = RoleSession(lambda: issue(scope, arn, self._source_arn), clock)
        credentials = RoleCredentials(self._session)
        self.clients = Clients(gateway_url, lambda _scope: credentials)

    def take(self, credentials: Credentials, source_arn: str) -> None:
        """Act with these from now on, and have others like them when they end."""
        self._source_arn = source_arn
        self._session.take(credentials)


def may_assume(trust: str | Mapping[str, Any], role_arn: str, source_arn: str, principal: str = PRINCIPAL) -> bool:
    """Whether a role's trust policy lets a service assume it for the resource `source_arn`. Pure."""
    document = trust if isinstance(trust, str) else json.dumps(trust)
    context = read_context({"aws:SourceArn": source_arn, "aws:SourceAccount": _account(source_arn)})
    request = AccessRequest(Principal(principal), "sts:AssumeRole", role_arn, _account(role_arn), context)
    try:
        return decide(request, Policies(trust=read_policy(document))).outcome is Outcome.ALLOWED
    except PolicyError:
        return False


def _account(arn: str) -> str:
    return arn.split(":")[4]
