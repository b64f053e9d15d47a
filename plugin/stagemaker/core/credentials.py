"""What AWS gives a program that runs under a role."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Credentials:
    """Of a role, until `expiration_s` (epoch seconds)."""

    role_arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
    expiration_s: float

    @classmethod
    def issued(cls, role_arn: str, by_sts: Mapping[str, Any]) -> Self:
        """The member Credentials of AssumeRole's answer."""
        return cls(
            role_arn,
            by_sts["AccessKeyId"],
            by_sts["SecretAccessKey"],
            by_sts["SessionToken"],
            by_sts["Expiration"].timestamp(),
        )

    @property
    def variables(self) -> dict[str, str]:
        """As the environment of a program has them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.token,
        }
