"""What is asked: who, what, on which resource, and under which circumstances. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A condition key in lower case, with one value, or with the values of a key that can have several.
type Context = Mapping[str, str | tuple[str, ...]]


def read_context(values: Mapping[str, str | Sequence[str]]) -> Context:
    """Condition keys as the decision needs them: names in lower case, since AWS does not tell their case apart."""
    return {key.lower(): value if isinstance(value, str) else tuple(value) for key, value in values.items()}


@dataclass(frozen=True)
class Principal:
    """Who asks.

    `arn` is the ARN of a user, of a role session (`arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`) or of an account
    (`arn:aws:iam::ACCOUNT:root`, its root user), or the name of a service (`lambda.amazonaws.com`). `role_arn` is the
    role of a session: the session's ARN does not tell the path of the role.
    """

    arn: str
    role_arn: str | None = None

    @property
    def account(self) -> str | None:
        """Twelve digits; None for a service."""
        return None if self.is_service else self.arn.split(":")[4]

    @property
    def account_arn(self) -> str:
        """The ARN that stands for the account in a Principal element."""
        return f"arn:aws:iam::{self.account}:root"

    @property
    def is_service(self) -> bool:
        """Whether an AWS service asks for itself."""
        return not self.arn.startswith("arn:")

    @property
    def is_root(self) -> bool:
        """Whether the root user of an account asks."""
        return self.arn == self.account_arn


@dataclass(frozen=True)
class AccessRequest:
    """One question. `resource_arn` is taken literally and is `*` for an action without a resource; `resource_account`
    owns the resource; `context` is made by read_context and holds everything that the policies can see."""

    principal: Principal
    action: str
    resource_arn: str
    resource_account: str
    context: Context
