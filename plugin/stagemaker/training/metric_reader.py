"""Reads metrics from lines in a thread of its own, so that a slow regex holds neither a container nor its job.

Whoever reads a container's output must not wait for long: the program would wait too, and the Docker engine answers
nothing about a container that has ended before its output is read.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from stagemaker.core.patterns import TooSlow
from stagemaker.core.supervisor import Supervisor
from stagemaker.training.metrics import MATCH_S, WINDOW_LIMIT_S, WINDOW_S, Metric, SlowTime, measured

# All of these are ours.
QUEUE_CHARACTERS, LINE_COST = 16 << 20, 64  # a line costs its characters and this
ROOM_WAIT_S = 1.0  # for room in the queue, once until there is some
AFTER_S = 5.0  # for what is queued when the containers have ended
COLLECT_S = 0.1
SLICE_LINES = 1000  # between two looks at the queue

Values = Sequence[tuple[str, float, float]]  # name, value, and when its line came by the clock


class MetricReader:
    """`on_values` gets values in the order of the lines, from the reader's thread; `clock` is epoch seconds.
    RuntimeError when the machine has no more threads."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        on_values: Callable[[Values], None],
        clock: Callable[[], float],
        supervisor: Supervisor,
    ) -> None:
        self._metrics = [(metric, SlowTime()) for metric in metrics]
        self._on_values, self._clock = on_values, clock
        self._changed = threading.Condition()
        self._lines: deque[tuple[float, str]] = deque()
        self._size = self._refused = 0
        self._is_full = False
        self._finished = threading.Event()
        self._deadline_s = self._slow_deadline_s = float("inf")  # by time.monotonic
        self._skipped: Counter[str] = Counter()
        self._thread = supervisor.follow("metrics of a job", self._run) if metrics else None

    def take(self, line: str) -> None:
        """Match the line soon. A line that comes while there is no room for it is skipped. From any thread."""
        if self._thread is None:
            return
        with self._changed:
            if self._size >= QUEUE_CHARACTERS and not self._is_full:
                self._is_full = not self._changed.wait_for(lambda: self._size < QUEUE_CHARACTERS, ROOM_WAIT_S)
            if self._is_full:
                self._refused += 1
                return
            self._lines.append((self._clock(), line))
            self._size += len(line) + LINE_COST

    def finish(self, limit_s: float = AFTER_S) -> list[str]:
        """Read what is queued, for at most `limit_s`, half of it with slow metrics too, and end; no line comes after
        this. Sentences for the log about what was skipped."""
        now_s = time.monotonic()
        self._slow_deadline_s, self._deadline_s = now_s + limit_s / 2, now_s + limit_s
        self._finished.set()
        if self._thread is not None:
            self._thread.join()
        limits = f"{MATCH_S} s a line, {WINDOW_LIMIT_S:g} s in {WINDOW_S} s, and {AFTER_S:g} s after the end"
        return [
            f"metric {name}: {count + self._refused} lines were not matched: its regex is slow, and has {limits}."
            for metric, _ in self._metrics
            if (name := metric.name) and (count := self._skipped[name]) + self._refused
        ]

    def _run(self) -> None:
        while True:
            finished = self._finished.wait(COLLECT_S)
            while lines := self._slice():
                if values := [value for moment_s, line in lines for value in self._values(line, moment_s)]:
                    self._on_values(values)
            if finished:
                return

    def _slice(self) -> list[tuple[float, str]]:
        with self._changed:
            lines = [self._lines.popleft() for _ in range(min(SLICE_LINES, len(self._lines)))]
            self._size -= sum(len(line) + LINE_COST for _, line in lines)
            self._is_full = self._is_full and self._size >= QUEUE_CHARACTERS
            self._changed.notify_all()
        return lines

    def _values(self, line: str, moment_s: float) -> Values:
        values = []
        began_s = time.thread_time()  # which other threads do not make longer
        for metric, slow in self._metrics:
            now_s = time.monotonic()
            deadline_s = self._slow_deadline_s if slow.is_much else self._deadline_s
            if now_s >= deadline_s or slow.is_spent(now_s):
                self._skipped[metric.name] += 1
                continue
            try:
                value = measured(metric, line)
            except TooSlow:
                self._skipped[metric.name] += 1
                value = None
            ended_s = time.thread_time()
            slow.add(now_s, ended_s - began_s)
            began_s = ended_s
            if value is not None:
                values.append((metric.name, value, moment_s))
        return values
