"""Follows one container: its end, a request to stop it, its time limit, and what has to be done meanwhile."""

import threading
from collections.abc import Callable
from enum import Enum

from stagemaker.runtime import Container, Exit

POLL_S = 0.1  # the longest that a request to stop, or the clock, goes unnoticed
STOP_GRACE_S = 120.0  # AWS: SIGTERM, and 120 s later SIGKILL


class Why(Enum):
    """Why a container ended."""

    EXITED = "by itself"
    STOPPED = "its job was stopped"
    TIMED_OUT = "its job reached its time limit"
    ABORTED = "we are shutting down"


class Signals:
    """What others want of a container that somebody follows. Thread-safe; a signal cannot be taken back."""

    def __init__(self) -> None:
        self._stop, self._abort = threading.Event(), threading.Event()

    def stop(self) -> None:
        """End it with its grace period."""
        self._stop.set()

    def abort(self) -> None:
        """End it at once."""
        self._abort.set()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def any(self) -> bool:
        """Whether anything was called."""
        return self.stopped or self.aborted

    @property
    def aborted(self) -> bool:
        """Whether `abort` was called."""
        return self._abort.is_set()


def follow(
    container: Container,
    signals: Signals,
    clock: Callable[[], float],
    deadline: float,
    *,
    on_tick: Callable[[], None],
    grace_s: float = STOP_GRACE_S,
) -> tuple[Why, Exit]:
    """Wait until the container ended, and end it on a signal or at the clock's `deadline`.

    `on_tick` is called about every POLL_S while it runs.
    """
    while True:
        end = container.wait(POLL_S)
        if end:
            return Why.EXITED, end
        why = _reason(signals, clock() >= deadline)
        if why:
            return why, container.stop(0 if why is Why.ABORTED else grace_s)
        on_tick()


def _reason(signals: Signals, late: bool) -> Why | None:
    if signals.aborted:
        return Why.ABORTED
    if signals.stopped:
        return Why.STOPPED
    return Why.TIMED_OUT if late else None
