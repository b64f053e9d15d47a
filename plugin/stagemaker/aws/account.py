"""What SageMaker does in the caller's account, as one object."""

import time
from collections.abc import Callable

from stagemaker.aws.alarm_states import AlarmStates
from stagemaker.aws.clients import Clients
from stagemaker.aws.iam import Iam
from stagemaker.aws.images import Images
from stagemaker.aws.s3 import S3
from stagemaker.aws.sns import Topics
from stagemaker.core.credentials import Credentials
from stagemaker.core.refs import Scope


class Account(S3, AlarmStates, Topics, Images):
    """S3, CloudWatch's alarms, SNS, ECR and roles over the same clients: with the rights of the account itself, or,
    made by `under`, with those of a role. Thread-safe."""

    def __init__(self, clients: Clients, iam: Iam | None = None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clients)
        self._iam = iam or Iam(clients, clock)

    def under(self, role_arn: str, subnet: str = "") -> "Account":
        """The same with the rights of the role, whose credentials are renewed before they end; this one without a name.
        With the id of a subnet its requests come from there. Its calls raise ApiError too when the role cannot be
        assumed any more."""
        return Account(self._iam.clients(role_arn, subnet), self._iam) if role_arn else self

    def role_clients(self, role_arn: str) -> Clients:
        """Those of a role."""
        return self._iam.clients(role_arn)

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]:
        """As `Iam.role_environment`."""
        return self._iam.role_environment(scope, role_arn, source_arn, subnet)

    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials:
        """As `Iam.role_credentials`."""
        return self._iam.role_credentials(scope, role_arn, source_arn, subnet)
