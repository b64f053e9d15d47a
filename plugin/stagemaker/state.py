"""Records per account and region, the lock over them, and the ARNs that name them.

Like every other service of LocalStack Community, the records live as long as the process.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Scope:
    """Whose records, and where: every operation takes one."""

    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """`arn:aws:<service>:<region>:<account>:<resource>`."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


class Store:
    """Records by scope, kind and name. Thread-safe.

    A record is never edited after it was handed out: `update` puts a new one in its place. Hold `lock` (re-entrant)
    over a check and the change that depends on it, and over nothing that waits.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._records: dict[tuple[Scope, str], dict[str, Record]] = {}

    def get(self, scope: Scope, kind: str, name: str) -> Record | None:
        """The record as it is now, or None."""
        with self.lock:
            return self._records.get((scope, kind), {}).get(name)

    def all(self, scope: Scope, kind: str) -> list[Record]:
        """Every record of a kind in a scope, oldest first."""
        with self.lock:
            return list(self._records.get((scope, kind), {}).values())

    def everywhere(self, kind: str) -> list[tuple[Scope, str, Record]]:
        """Every record of a kind in all scopes, for the watchers and the shutdown."""
        with self.lock:
            return [(s, name, r) for (s, k), rs in self._records.items() if k == kind for name, r in rs.items()]

    def put(self, scope: Scope, kind: str, name: str, record: Record) -> Record:
        """Create or replace the record."""
        frozen = MappingProxyType(dict(record))
        with self.lock:
            self._records.setdefault((scope, kind), {})[name] = frozen
        return frozen

    def update(self, scope: Scope, kind: str, name: str, **changes: Any) -> Record:
        """Replace the record by one with `changes`; KeyError when it is gone."""
        with self.lock:
            return self.put(scope, kind, name, {**self._records[(scope, kind)][name], **changes})

    def delete(self, scope: Scope, kind: str, name: str) -> None:
        """Forget the record; nothing when there is none."""
        with self.lock:
            self._records.get((scope, kind), {}).pop(name, None)
