"""The lines of one log stream until they are sent, and which of them are left out. Pure.

LocalStack keeps every event of CloudWatch Logs in memory until it ends, about 200 bytes and the text. So a stream takes
every line up to a limit, and later only the last ones of each while: they say why a job failed.
"""

import json
from collections import deque
from dataclasses import dataclass

MAX_BATCH_EVENTS, MAX_BATCH_BYTES, EVENT_OVERHEAD_BYTES = 10_000, 1_000_000, 26  # PutLogEvents' limits
TELL_MS = 60_000  # (ours) how long the last lines wait

Event = tuple[int, str]  # epoch milliseconds, message


@dataclass
class Amount:
    """Of lines. As a limit it is reached when either number is."""

    lines: int = 0
    characters: int = 0

    def add(self, text: str) -> None:
        """Count one more line."""
        self.lines += 1
        self.characters += len(text)

    def reaches(self, limit: "Amount") -> bool:
        """Whether it is as much as `limit`, or more."""
        return self.lines >= limit.lines or self.characters >= limit.characters


# All of these are ours.
STREAM_LIMIT = Amount(500_000, 64 << 20)
TOTAL_LIMIT = Amount(4_000_000, 512 << 20)  # of all streams together
LEAST = Amount(10_000, 1 << 20)  # what a stream takes also after that
LAST = Amount(100, 64 << 10)


class StreamLines:
    """Not thread-safe. `total` counts the lines of all streams that it is given to.

    `queued` and `taken` count events since the beginning; what was queued and not taken is waiting."""

    def __init__(self, total: Amount) -> None:
        self.queued = self.taken = 0
        self._total, self._own, self._last_characters = total, Amount(), 0
        self._full_batches: deque[str] = deque()  # as JSON: a tenth of the memory
        self._batch: list[Event] = []
        self._batch_bytes = 0
        self._last: deque[Event] = deque()  # after the limit
        self._left_out = self._latest_ms = self._tell_ms = 0

    @property
    def is_empty(self) -> bool:
        """Whether no line waits, the last ones included."""
        return self.queued == self.taken and not self._last

    def add(self, text: str, now_ms: int) -> None:
        """Queue a line, or keep it among the last ones. PutLogEvents takes no moment before an earlier one."""
        self._latest_ms = max(self._latest_ms, now_ms)
        if self._is_full():
            self._keep_last(text)
            return
        self._own.add(text)
        self._total.add(text)
        self._put((self._latest_ms, text))

    def tell(self) -> None:
        """Queue the last lines now, after a line that says how many were left out before them."""
        if self._left_out:
            told = f"Stagemaker: {self._left_out} lines were left out here: the log has too many for this machine."
            self._put((self._last[0][0], told))
        for event in self._last:
            self._put(event)
        self._last.clear()
        self._left_out = self._last_characters = 0

    def tell_when_due(self, now_ms: int) -> None:
        """As `tell`, when the first of the last lines has waited for TELL_MS."""
        if self._last and now_ms >= self._tell_ms:
            self.tell()

    def take(self) -> list[Event]:
        """The oldest that wait, as many as one PutLogEvents takes."""
        if self._full_batches:
            batch = [(moment_ms, text) for moment_ms, text in json.loads(self._full_batches.popleft())]
        else:
            batch, self._batch, self._batch_bytes = self._batch, [], 0
        self.taken += len(batch)
        return batch

    def _is_full(self) -> bool:
        if self._total.reaches(TOTAL_LIMIT):
            return self._own.reaches(LEAST)
        return self._own.reaches(STREAM_LIMIT)

    def _put(self, event: Event) -> None:
        size_bytes = len(event[1].encode()) + EVENT_OVERHEAD_BYTES
        if len(self._batch) == MAX_BATCH_EVENTS or self._batch_bytes + size_bytes > MAX_BATCH_BYTES:
            self._full_batches.append(json.dumps(self._batch))
            self._batch, self._batch_bytes = [], 0
        self._batch.append(event)
        self._batch_bytes += size_bytes
        self.queued += 1

    def _keep_last(self, text: str) -> None:
        if not self._last:
            self._tell_ms = self._latest_ms + TELL_MS
        self._last.append((self._latest_ms, text))
        self._last_characters += len(text)
        while len(self._last) > LAST.lines or (self._last_characters > LAST.characters and len(self._last) > 1):
            _, dropped = self._last.popleft()
            self._last_characters -= len(dropped)
            self._left_out += 1
