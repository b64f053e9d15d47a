"""The temporary credentials that STS gave out, until they expire."""

import threading
from dataclasses import dataclass, field

from stagemaker.access.callers import Caller

# (ours) Of the context by which the stage itself tells AssumeRole the id of the subnet that the session is in.
SUBNET_PROVIDER = "arn:aws:iam::aws:contextProvider/Stagemaker"
PURGE_S = 60.0  # (ours) after so long those that have expired are looked for again
KEPT_S = 3600.0  # (ours) how long one is known after its end, and after LocalStack's last use of it


@dataclass(frozen=True)
class Session:
    """One set of temporary credentials. `owner_id` is the id of the role or user, AROA... or AIDA..., without which
    they end; empty for those of the root user. `transitive_tags` go on to the sessions that this one makes."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires_s: float  # epoch seconds
    caller: Caller
    owner_id: str
    transitive_tags: tuple[str, ...] = ()

    @property
    def is_of_role(self) -> bool:
        """Whether AssumeRole made it."""
        return self.caller.principal.role_arn is not None


class Sessions:
    """All of them, by their access key. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._used_s: dict[str, float] = {}  # by LocalStack itself
        self._purged_s = 0.0

    def add(self, session: Session, now_s: float) -> None:
        """Keep it, also for a while after its end: who uses it is told that it has expired."""
        with self._lock:
            if now_s > self._purged_s + PURGE_S:
                self._used_s = {key: used_s for key, used_s in self._used_s.items() if used_s > now_s - KEPT_S}
                kept = self._sessions.items()
                self._sessions = {
                    key: each for key, each in kept if each.expires_s > now_s - KEPT_S or key in self._used_s
                }
                self._purged_s = now_s
            self._sessions[session.access_key_id] = session

    def find(self, access_key_id: str) -> Session | None:
        """The session of the key."""
        return self._sessions.get(access_key_id)

    def use(self, access_key_id: str, now_s: float) -> Session | None:
        """The session of the key with which LocalStack itself calls. It is not forgotten as long as it is used: what
        reads a queue for a function never renews it."""
        with self._lock:
            session = self._sessions.get(access_key_id)
            if session is not None:
                self._used_s[access_key_id] = now_s
            return session
