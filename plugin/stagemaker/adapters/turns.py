"""Long documents are read in turn: parsed, JSON takes up to thirty times its length in memory.

An invocation waits for no turn: it may call another one. An object of S3 lies on disk.
"""

import gc
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stagemaker.api.body_limits import CODE_BYTES, DOCUMENT_BYTES, body_limit
from stagemaker.api.http_head import make_head

SHORT_BYTES = 64 << 10  # a shorter one needs no turn
ROOM_BYTES = DOCUMENT_BYTES  # of those that are read at once; one that is longer is read alone
COLLECTED_BYTES = 2 << 20  # LocalStack's parser leaves a longer one, parsed, to the collector, which may wait for hours
MOST_WAITING = 100  # of LocalStack's 1,000 threads


class Full(Exception):
    """Too many wait already."""


class Room:
    """So many bytes at once, in the order in which they were asked for. Thread-safe."""

    def __init__(self, size_bytes: int, most_waiting: int) -> None:
        self._size_bytes, self._most_waiting = size_bytes, most_waiting
        self._used_bytes, self._line = 0, deque[object]()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait for room."""
        return len(self._line)

    @contextmanager
    def taken(self, size_bytes: int) -> Iterator[None]:
        """Wait until there is room, and have it until the end of the block. Raises Full."""
        place = object()
        with self._changed:
            if len(self._line) >= self._most_waiting:
                raise Full
            self._line.append(place)
            self._changed.wait_for(lambda: self._line[0] is place and self._fits(size_bytes))
            self._line.popleft()
            self._used_bytes += size_bytes
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used_bytes -= size_bytes
                self._changed.notify_all()

    def _fits(self, size_bytes: int) -> bool:
        return self._used_bytes == 0 or self._used_bytes + size_bytes <= self._size_bytes


class InTurn:
    """LocalStack's gateway, as its server calls it."""

    def __init__(self, gateway: Any) -> None:
        self._gateway, self._room = gateway, Room(ROOM_BYTES, MOST_WAITING)

    def process(self, request: Any, response: Any) -> None:
        """Answer the request, when it is its turn. 503 when too many wait."""
        size_bytes = document_bytes(request)
        if size_bytes <= SHORT_BYTES:
            self._gateway.process(request, response)
            return
        try:
            with self._room.taken(size_bytes):
                self._gateway.process(request, response)
                if size_bytes > COLLECTED_BYTES:
                    gc.collect()
        except Full:
            error = {"__type": "ServiceUnavailable", "message": "Too many long requests wait: try again."}
            response.status_code, response.data = 503, json.dumps(error)
            response.headers.update({"Content-Type": "application/json", "x-amzn-ErrorType": "ServiceUnavailable"})

    def accept(self, request: Any) -> None:
        """Of a WebSocket, which nobody opens."""
        self._gateway.accept(request)


def document_bytes(request: Any) -> int:
    """The length of a body that is read whole, or the longest that it may have; 0 for one that is not."""
    target = request.full_path if request.query_string else request.path
    limit_bytes = body_limit(make_head(request.method, target, request.headers.items(), "")).limit_bytes
    if limit_bytes not in (DOCUMENT_BYTES, CODE_BYTES):
        return 0
    if request.headers.get("Transfer-Encoding") or request.headers.get("Content-Encoding"):
        return limit_bytes
    return int(request.content_length or 0)
