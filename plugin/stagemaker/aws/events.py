"""EventBridge: takes events at once, and sends them in order from a thread of its own."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import batched, groupby
from typing import Any

from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor

LOG = logging.getLogger(__name__)
GATHER_S = 0.5  # (ours) what comes within it leaves together: a call costs LocalStack milliseconds
MAX_ENTRIES = 10  # of PutEvents


class EventBus:
    """The default event bus of each scope. Thread-safe.

    `clients(service, scope)` makes boto3 clients; `clock` is epoch seconds. What EventBridge does not take is reported
    in LocalStack's own log and dropped: nothing fails for its event. What is left at the end is not sent any more."""

    def __init__(
        self, clients: Callable[[str, Scope], Any], clock: Callable[[], float], supervisor: Supervisor
    ) -> None:
        self._clients, self._clock = clients, clock
        self._waiting: queue.SimpleQueue[tuple[Scope, dict[str, Any]] | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        supervisor.start("events", self._run, cancel=self._end)

    def put(self, scope: Scope, source: str, detail_type: str, resource: str, detail: Mapping[str, Any]) -> None:
        """Send an event, soon; `detail` holds JSON values. It does not wait."""
        entry = {
            "Time": datetime.fromtimestamp(self._clock(), UTC),
            "Source": source,
            "DetailType": detail_type,
            "Resources": [resource],
            "Detail": json.dumps(detail),
        }
        self._waiting.put((scope, entry))

    def _end(self) -> None:
        self._closed.set()
        self._waiting.put(None)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            if self._closed.wait(GATHER_S):
                return
            gathered = [first]
            with suppress(queue.Empty):
                while (more := self._waiting.get_nowait()) is not None:
                    gathered.append(more)
            for scope, items in groupby(gathered, key=lambda item: item[0]):
                for entries in batched((entry for _, entry in items), MAX_ENTRIES):
                    self._send(scope, list(entries))

    def _send(self, scope: Scope, entries: list[dict[str, Any]]) -> None:
        kinds = ", ".join(sorted({entry["DetailType"] for entry in entries}))
        try:
            answer = self._clients("events", scope).put_events(Entries=entries)
            if answer["FailedEntryCount"]:
                LOG.warning("EventBridge did not take some of %s: %s", kinds, answer["Entries"])
        except Exception:
            if not self._closed.is_set():
                LOG.exception("EventBridge did not take %s; they are dropped", kinds)
