"""The passwords that GetAuthorizationToken hands out: each says whose registry it opens, for whom, and until when.

They are signed, not stored: a restart of LocalStack makes all of them invalid.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable

from stagemaker.core.refs import Scope

LIFETIME_S = 12 * 3600.0  # AWS's
USER = "AWS"


class TokenRefused(Exception):
    """`expired`, or else not one of ours."""

    def __init__(self, expired: bool) -> None:
        super().__init__("expired" if expired else "invalid")
        self.expired = expired


class Tokens:
    """Thread-safe. `secret` signs them."""

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret, self._clock = secret, clock

    def issue(self, scope: Scope, holder: str) -> tuple[str, float]:
        """A password and the moment at which it expires. `holder` is the access key whose rights it has."""
        expires = self._clock() + LIFETIME_S
        payload = json.dumps([scope.account, scope.region, expires, holder]).encode()
        return base64.urlsafe_b64encode(self._sign(payload) + payload).decode(), expires

    def read(self, password: str) -> tuple[Scope, str]:
        """Whose registry it opens, and its holder. Raises TokenRefused."""
        try:
            content = base64.b64decode(password.encode(), altchars=b"-_", validate=True)
        except ValueError:
            raise TokenRefused(expired=False) from None
        signature, payload = content[:32], content[32:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise TokenRefused(expired=False)
        account, region, expires, holder = json.loads(payload)
        if expires <= self._clock():
            raise TokenRefused(expired=True)
        return Scope(account, region), holder

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, hashlib.sha256)
