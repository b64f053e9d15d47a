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

    @property
    def variables(self) -> dict[str, str]:
        """As the environment of a program has them."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.token,
        }
