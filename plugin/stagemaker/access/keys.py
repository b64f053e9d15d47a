"""What is known of an access key, and whether a request shows the right token with it. Pure."""

import hmac
from dataclasses import dataclass, field

from stagemaker.access.callers import Caller
from stagemaker.access.faults import CredentialsRefused, Fault


@dataclass(frozen=True)
class Key:
    """An access key that works, or did. `token` and `expires_s` (epoch seconds) are those of temporary credentials."""

    secret: str = field(repr=False)
    caller: Caller
    token: str | None = field(default=None, repr=False)
    expires_s: float | None = None


def check_key(key: Key | None, token: str | None, now_s: float) -> Key:
    """The key. CredentialsRefused for one that is not known, has another token than the request, or has expired."""
    if key is None:
        raise CredentialsRefused(Fault.UNKNOWN_KEY)
    if not hmac.compare_digest((key.token or "").encode(), (token or "").encode("latin-1")):
        raise CredentialsRefused(Fault.WRONG_TOKEN if token else Fault.UNKNOWN_KEY)
    if key.expires_s is not None and now_s >= key.expires_s:
        raise CredentialsRefused(Fault.EXPIRED_TOKEN)
    return key
