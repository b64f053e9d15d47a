"""Sends requests when they are due, whatever became of those before them: an open loop.

A loop that waits for an answer before it sends the next request slows down together with what it measures, and leaves
out the requests that would have waited longest ("coordinated omission"). Here the time of a request counts from the
moment at which it was due, also when it was sent later because all connections were in use. What could not be sent in
time is counted as not sent. So at the end: due = answered + failed + not sent."""

import threading
import time
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from infra.load.requests import ANSWERED

NOT_SENT = "Not sent"
UNFINISHED = "Unfinished"
WINDOW_S = 10.0  # of the figures that are shown while the load goes on
LATE_LIMIT_S = 10.0  # a request that is later than this is not sent: nobody would wait for it any more


class Sender(Protocol):
    """What a thread sends with."""

    def send(self) -> str:
        """Send the request, and wait for its end: ANSWERED, or why it failed."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True)
class Result:
    """What became of one request: `outcome` is ANSWERED, NOT_SENT, or why it failed. Times are in seconds since the
    beginning of the load; one that was not sent has no `sent_s`."""

    due_s: float
    sent_s: float | None
    done_s: float
    outcome: str

    @property
    def latency_s(self) -> float:
        """From the moment at which it was due to its end."""
        return self.done_s - self.due_s


@dataclass(frozen=True)
class Progress:
    """How a load stands. `failed` counts by reason; `latencies_s` are those of what was answered in the last WINDOW_S,
    in order of size."""

    now_s: float
    due: int
    sent: int
    answered: int
    failed: Counter[str]
    not_sent: int
    latencies_s: list[float]


class Generator:
    """Threads, each of which takes the next request, waits until it is due, and sends it. `due_s` are the seconds from
    the start, in order. All methods may be called from any thread."""

    def __init__(
        self,
        due_s: Sequence[float],
        connect: Callable[[], Sender],
        connections: int,
        late_limit_s: float = LATE_LIMIT_S,
    ) -> None:
        self._due_s, self._connect, self._late_limit_s = due_s, connect, late_limit_s
        self._last = len(due_s)  # how many are due before the end
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._next = 0
        self._waiting: set[int] = set()  # numbers that a thread took, and that are not sent yet
        self._open: dict[int, Result] = {}  # those that are sent and not answered
        self._results: list[Result] = []
        self._counts: Counter[str] = Counter()
        self._recent: deque[Result] = deque()
        self._is_over = False
        self._began_s = 0.0
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]

    def start(self) -> None:
        """Second 0 is now."""
        self._began_s = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Nothing is due any more from now on, and nothing is sent. What is sent already may end."""
        with self._lock:
            self._last = min(self._last, bisect_right(self._due_s, self.now_s()))
        self._stopped.set()

    def finish(self) -> list[Result]:
        """A result for each request that was due, in the order in which they ended. What is still open is UNFINISHED,
        and what comes later is left out."""
        self.stop()
        with self._lock:
            if not self._is_over:
                self._is_over = True
                for begun in list(self._open.values()):
                    self._record(replace(begun, done_s=self.now_s(), outcome=UNFINISHED))
                for number in (*self._waiting, *range(self._next, self._last)):
                    self._record_not_sent(number)
            return list(self._results)

    def is_running(self) -> bool:
        """Whether any thread still sends or waits."""
        return any(thread.is_alive() for thread in self._threads)

    def now_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began_s

    def progress(self) -> Progress:
        """How it stands now."""
        with self._lock:
            now_s = self.now_s()
            while self._recent and self._recent[0].done_s < now_s - WINDOW_S:
                self._recent.popleft()
            failed = Counter(self._counts)
            answered, not_sent = failed.pop(ANSWERED, 0), failed.pop(NOT_SENT, 0)
            return Progress(
                now_s=now_s,
                due=min(self._last, bisect_right(self._due_s, now_s)),
                sent=answered + failed.total() + len(self._open),
                answered=answered,
                failed=failed,
                not_sent=not_sent,
                latencies_s=sorted(result.latency_s for result in self._recent),
            )

    def _work(self) -> None:
        with closing(self._connect()) as sender:
            while (number := self._take()) is not None:
                self._stopped.wait(max(0.0, self._due_s[number] - self.now_s()))
                if self._begin(number):
                    self._end(number, sender.send())

    def _take(self) -> int | None:
        """The number of the next request, which nobody else gets; None when there is no more."""
        with self._lock:
            if self._next >= self._last:
                return None
            self._next += 1
            self._waiting.add(self._next - 1)
            return self._next - 1

    def _begin(self, number: int) -> bool:
        """Whether to send it: not after the end, and not when it is too late."""
        with self._lock:
            if self._is_over:
                return False
            self._waiting.discard(number)
            now_s = self.now_s()
            if self._stopped.is_set() or now_s - self._due_s[number] > self._late_limit_s:
                self._record_not_sent(number)
                return False
            self._open[number] = Result(self._due_s[number], now_s, now_s, ANSWERED)
            return True

    def _end(self, number: int, outcome: str) -> None:
        with self._lock:
            if not self._is_over:
                self._record(replace(self._open.pop(number), done_s=self.now_s(), outcome=outcome))

    def _record_not_sent(self, number: int) -> None:
        if number < self._last:
            self._record(Result(self._due_s[number], None, self.now_s(), NOT_SENT))

    def _record(self, result: Result) -> None:
        self._results.append(result)
        self._counts[result.outcome] += 1
        if result.outcome == ANSWERED:
            self._recent.append(result)
