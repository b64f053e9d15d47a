"""Waits that end at once when the command is interrupted or another step has failed.

A step of a deployment runs in a thread of its own, and only the main thread sees signals. So a resource never sleeps:
it calls `pause`, which `infra.parallel` can end, and which tells the reader what a long wait is for.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from threading import Event

FIRST_TOLD_S = 10.0  # (ours) a shorter wait is not told
FIRST_POLL_S = 0.25  # (ours) until AWS is asked for a status again
TOLD_EVERY_S = 300.0  # (ours) at least; before that, each time that the wait has lasted twice as long


class Cancelled(BaseException):
    """This step shall end. Like KeyboardInterrupt it is no Exception, so that no handler takes it for a failure."""


class Waiting:
    """The waits of one step: `cancelled` ends them, and `say` gets a line about each long one."""

    def __init__(
        self, cancelled: Event, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cancelled, self.say, self._clock = cancelled, say, clock
        self._reason, self._since_s, self._tell_after_s = "", 0.0, FIRST_TOLD_S

    def check(self) -> None:
        """Raise Cancelled when the step shall end."""
        if self._cancelled.is_set():
            raise Cancelled

    def pause(self, seconds: float, reason: str) -> None:
        """Wait so long, for `reason`. Raises Cancelled as soon as the step shall end."""
        self._tell(reason)
        if self._cancelled.wait(seconds):
            raise Cancelled

    def poll(self, longest_s: float, reason: str) -> None:
        """Wait for `reason` until it is time to look again: FIRST_POLL_S, and more the longer it lasts, but `longest_s`
        at most. Raises as `pause`."""
        waited_s = self._tell(reason)
        if self._cancelled.wait(min(longest_s, FIRST_POLL_S + waited_s / 2)):
            raise Cancelled

    def _tell(self, reason: str) -> float:
        """Say it of a long wait; how long it has lasted, in seconds."""
        now = self._clock()
        if reason != self._reason:
            self._reason, self._since_s, self._tell_after_s = reason, now, FIRST_TOLD_S
        elif (waited_s := now - self._since_s) >= self._tell_after_s:
            self.say(f"waits for {reason} ({in_words(waited_s)})")
            self._tell_after_s = waited_s + min(waited_s, TOLD_EVERY_S)
        return now - self._since_s


_CURRENT: ContextVar[Waiting | None] = ContextVar("waiting", default=None)


@contextmanager
def within(waiting: Waiting) -> Iterator[None]:
    """Inside, the waits of this thread are those of a step."""
    before = _CURRENT.set(waiting)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def alone(say: Callable[[str], None]) -> AbstractContextManager[None]:
    """Inside, the waits of this thread grow and are told to `say` as those of a step: for a command without steps."""
    return within(Waiting(Event(), say))


def pause(seconds: float, reason: str) -> None:
    """Wait so long for `reason`, such as "InService". Raises Cancelled when the step that it is part of shall end;
    outside of a step it sleeps."""
    if waiting := _CURRENT.get():
        waiting.pause(seconds, reason)
    else:
        time.sleep(seconds)


def poll(longest_s: float, reason: str) -> None:
    """As `pause`, until it is time to look again: soon at first, and every `longest_s` where the wait is long."""
    if waiting := _CURRENT.get():
        waiting.poll(longest_s, reason)
    else:
        time.sleep(longest_s)


def say(text: str) -> None:
    """Tell the reader of this step, such as why it takes longer. Outside of a step nobody is told."""
    if waiting := _CURRENT.get():
        waiting.say(text)


def check() -> None:
    """Raise Cancelled when the step that this is part of shall end: for long work that never waits."""
    if waiting := _CURRENT.get():
        waiting.check()


def in_words(seconds: float) -> str:
    """A time for a reader: `40 s`, `2 min`, `1 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 60 or not minutes:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
