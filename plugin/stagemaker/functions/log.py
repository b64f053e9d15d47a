"""The log of a function's invocations, with the lines that AWS adds.

https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html
"""

import math
import threading
import time

MAX_LINES, MAX_CHARACTERS = 9_000, 400_000  # PutLogEvents takes 10,000 events and 1 MiB, of up to 4 bytes a character
# (Ours) LocalStack keeps every event in memory: when an environment has written so much, an invocation gets fewer.
ALL_LINES, ALL_CHARACTERS = 200_000, 32 << 20
LATER_LINES, LATER_CHARACTERS = 100, 64 << 10


class FunctionLog:
    """Collects lines until they are taken. Bounded: what does not fit is counted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._characters = self._left_out = 0
        self._all_lines = self._all_characters = 0

    def add(self, line: str) -> None:
        """A line of the function's output. awslambdaric joins those of a stack trace with `\\r`: it is cut there."""
        with self._lock:
            for part in line.split("\r"):
                self._add(part)

    def add_always(self, line: str) -> None:
        """A line of ours, which stays readable after any flood of the function's."""
        with self._lock:
            if self._left_out:
                self._lines.append(f"[{self._left_out} lines were left out: too much output for one invocation]")
                self._left_out = 0
            self._lines.append(line)

    def take(self) -> str:
        """Everything since the last time, one line a line."""
        with self._lock:
            lines, self._lines, self._characters = self._lines, [], 0
        return "".join(f"{line}\n" for line in lines)

    def _add(self, line: str) -> None:
        lines, characters = MAX_LINES, MAX_CHARACTERS
        if self._all_lines >= ALL_LINES or self._all_characters >= ALL_CHARACTERS:
            lines, characters = LATER_LINES, LATER_CHARACTERS
        fits = len(self._lines) < lines and self._characters + len(line) < characters
        if self._left_out or not fits:
            self._left_out += 1
            return
        self._lines.append(line)
        self._characters += len(line)
        self._all_lines += 1
        self._all_characters += len(line)


def start_line(request_id: str, version: str) -> str:
    """The first line of an invocation."""
    return f"START RequestId: {request_id} Version: {version}"


def end_line(request_id: str) -> str:
    """The line after the function's last one."""
    return f"END RequestId: {request_id}"


def report_line(
    request_id: str, duration_s: float, memory_mb: int, used_mb: int, init_s: float | None, status: str
) -> str:
    """The last line of an invocation. `init_s` is None for a warm one; `status` is empty when it succeeded."""
    milliseconds = duration_s * 1000
    fields = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {milliseconds:.2f} ms",
        f"Billed Duration: {math.ceil(milliseconds)} ms",
        f"Memory Size: {memory_mb} MB",
        f"Max Memory Used: {used_mb} MB",
        *([f"Init Duration: {init_s * 1000:.2f} ms"] if init_s is not None else []),
        *([status] if status else []),
    ]
    return "\t".join(fields) + "\t"


def timeout_line(request_id: str, timeout_s: float, now: float) -> str:
    """What AWS logs when it ends an invocation; `now` in epoch seconds."""
    stamp = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now * 1000) % 1000:03d}Z"
    return f"{stamp} {request_id} Task timed out after {timeout_s:.2f} seconds"
