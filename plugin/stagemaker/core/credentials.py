"""What AWS gives a program that runs under a role."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Credentials:
    """Of a role, until `expiration_s` (epoch seconds)."""

    role_arn: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
    expiration_s: float
