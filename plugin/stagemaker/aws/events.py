"""EventBridge: takes events at once, and sends them in order from a thread of its own."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor

LOG = logging.getLogger(__name__)


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
        while (item := self._waiting.get()) is not None and not self._closed.is_set():
            scope, entry = item
            try:
                answer = self._clients("events", scope).put_events(Entries=[entry])
                if answer["FailedEntryCount"]:
                    LOG.warning("EventBridge did not take %s: %s", entry["DetailType"], answer["Entries"])
            except Exception:
                if not self._closed.is_set():
                    LOG.exception("EventBridge did not take %s; it is dropped", entry["DetailType"])
