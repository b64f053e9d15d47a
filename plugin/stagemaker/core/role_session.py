"""The credentials of a role that something long runs under: renewed before they end, the same for all who ask."""

import threading
from collections.abc import Callable

from stagemaker.core.credentials import Credentials

RENEW_S = 30 * 60  # (ours) before the end: AWS's SDKs ask for others 15 minutes before


class RoleSession:
    """Gives the same credentials until they are about to end, and then others. Thread-safe.

    `issue` makes fresh ones, and raises ApiError when there are none any more; `clock` is epoch seconds."""

    def __init__(self, issue: Callable[[], Credentials], clock: Callable[[], float]) -> None:
        self._issue, self._clock = issue, clock
        self._lock = threading.Lock()
        self._last: Credentials | None = None

    def credentials(self) -> Credentials:
        """Good for RENEW_S at least, if the role's are. Raises what `issue` raises."""
        with self._lock:
            if self._last is None or self.ends_soon(self._last):
                self._last = self._issue()
            return self._last

    def ends_soon(self, credentials: Credentials) -> bool:
        """Whether these are due to be replaced by others."""
        return credentials.expiration_s - self._clock() < RENEW_S

    def take(self, credentials: Credentials) -> None:
        """Give these from now on: somebody has just got them."""
        with self._lock:
            self._last = credentials
