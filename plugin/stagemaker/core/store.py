"""Records of everything that the stage was asked to make: JSON values by Ref, with one lock over all of them.

As in every other service of LocalStack Community, the records of `MemoryStore` live as long as the process. The
interface asks for nothing that a database file could not do: JSON in, JSON out, no object of the caller's is kept.
"""

import math
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from stagemaker.core.refs import Kind, Ref, Scope

Record = Mapping[str, Any]
MAX_SERIES = 10_000  # (ours) entries of one series; the oldest leave first


@dataclass(frozen=True)
class Change:
    """`before` is None for a new record, `after` for a deleted one."""

    ref: Ref
    before: Record | None
    after: Record | None


class Store(Protocol):
    """Thread-safe. `tests/contract/test_store.py` runs one suite over every implementation.

    A record is never edited after it was handed out: `put` and `update` replace it. Hold `lock` (re-entrant) over a
    check and the change that depends on it, and over nothing that waits."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The one lock; re-entrant."""

    def get(self, ref: Ref) -> Record | None:
        """The record as it is now, or None."""

    def find(self, arn: str) -> tuple[Ref, Record] | None:
        """The record with this ARN."""

    def all(self, scope: Scope, kind: Kind) -> list[Record]:
        """Every record of a kind in a scope, oldest first."""

    def everywhere(self, kind: Kind) -> list[tuple[Ref, Record]]:
        """Every record of a kind in all scopes."""

    def put(self, ref: Ref, record: Record) -> Record:
        """Create or replace the record. TypeError when it is not JSON, ValueError when another record has its ARN."""

    def update(self, ref: Ref, **changes: Any) -> Record:
        """Replace the record by one with `changes`; KeyError when it is gone."""

    def delete(self, ref: Ref) -> None:
        """Forget the record and its series; nothing when there is none."""

    def append(self, ref: Ref, series: str, value: Any) -> None:
        """Add a JSON value to a series of a record that exists (KeyError else); only MAX_SERIES of them are kept."""

    def series(self, ref: Ref, name: str) -> list[Any]:
        """What was appended, oldest first; empty when there is none."""

    def drop_series(self, ref: Ref) -> None:
        """Forget all series of a record; nothing when there is none."""

    def watch(self, kind: Kind, tell: Callable[[Change], None]) -> Callable[[], None]:
        """Call `tell` after each change of a record of this kind, in order, with the lock held: it must not wait. The
        answer ends it. What `tell` raises reaches whoever made the change, which stays."""


class MemoryStore:
    """The Store whose records end with the process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._records: dict[tuple[Scope, Kind], dict[str, Record]] = {}
        self._refs: dict[str, Ref] = {}  # by ARN
        self._series: dict[Ref, dict[str, list[Any]]] = {}
        self._watchers: dict[Kind, list[Callable[[Change], None]]] = {}

    def get(self, ref: Ref) -> Record | None:
        """The record as it is now, or None."""
        with self.lock:
            return self._records.get((ref.scope, ref.kind), {}).get(ref.name)

    def find(self, arn: str) -> tuple[Ref, Record] | None:
        """The record with this ARN."""
        with self.lock:
            ref = self._refs.get(arn)
            record = self.get(ref) if ref else None
            return (ref, record) if ref and record is not None else None

    def all(self, scope: Scope, kind: Kind) -> list[Record]:
        """Every record of a kind in a scope, oldest first."""
        with self.lock:
            return list(self._records.get((scope, kind), {}).values())

    def everywhere(self, kind: Kind) -> list[tuple[Ref, Record]]:
        """Every record of a kind in all scopes."""
        with self.lock:
            return [
                (Ref(scope, kind, name), record)
                for (scope, found), records in self._records.items()
                if found == kind
                for name, record in records.items()
            ]

    def put(self, ref: Ref, record: Record) -> Record:
        """Create or replace the record."""
        frozen = MappingProxyType(_json(record, ""))
        with self.lock:
            owner = self._refs.setdefault(ref.arn, ref)
            if owner != ref:
                raise ValueError(f"{ref.arn} is already the ARN of {owner.name}.")
            before = self.get(ref)
            self._records.setdefault((ref.scope, ref.kind), {})[ref.name] = frozen
            self._tell(Change(ref, before, frozen))
        return frozen

    def update(self, ref: Ref, **changes: Any) -> Record:
        """Replace the record by one with `changes`."""
        with self.lock:
            return self.put(ref, {**self._records[ref.scope, ref.kind][ref.name], **changes})

    def delete(self, ref: Ref) -> None:
        """Forget the record and its series."""
        with self.lock:
            before = self._records.get((ref.scope, ref.kind), {}).pop(ref.name, None)
            if before is not None:
                del self._refs[ref.arn]
                self._series.pop(ref, None)
                self._tell(Change(ref, before, None))

    def append(self, ref: Ref, series: str, value: Any) -> None:
        """Add a JSON value to a series."""
        kept = _json(value, series)
        with self.lock:
            if self.get(ref) is None:
                raise KeyError(ref.arn)
            entries = self._series.setdefault(ref, {}).setdefault(series, [])
            entries.append(kept)
            del entries[:-MAX_SERIES]

    def series(self, ref: Ref, name: str) -> list[Any]:
        """What was appended, oldest first."""
        with self.lock:
            return list(self._series.get(ref, {}).get(name, ()))

    def drop_series(self, ref: Ref) -> None:
        """Forget all series of a record."""
        with self.lock:
            self._series.pop(ref, None)

    def watch(self, kind: Kind, tell: Callable[[Change], None]) -> Callable[[], None]:
        """Call `tell` after each change of a record of this kind."""
        with self.lock:
            self._watchers.setdefault(kind, []).append(tell)

        def end() -> None:
            with self.lock:
                if tell in self._watchers[kind]:
                    self._watchers[kind].remove(tell)

        return end

    def _tell(self, change: Change) -> None:
        for tell in list(self._watchers.get(change.ref.kind, ())):
            tell(change)


def _json(value: Any, path: str) -> Any:
    """A copy of `value` that shares nothing with it. TypeError, with the path, for what JSON cannot hold."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _json(item, f"{path}.{key}" if path else key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"A record holds only JSON, but {path or 'it'} is {value!r} ({type(value).__name__}).")
