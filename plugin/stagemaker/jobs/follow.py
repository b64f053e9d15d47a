"""Follows the containers of one job: their ends, a request to stop, a time limit, and what has to be done meanwhile."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from queue import Empty, SimpleQueue

from stagemaker.runtime.contract import Container, Exit

POLL_S = 0.1  # how often a request to stop and the clock are looked at
STOP_GRACE_S = 120.0  # AWS: SIGTERM, and 120 s later SIGKILL
SIBLING_GRACE_S = 5.0  # (ours) for the others when one has failed: they wait for it in vain
_WAIT_S = 3600.0


class Why(Enum):
    """Why the containers ended."""

    EXITED = "by themselves, or because one of them failed"
    STOPPED = "their job was stopped"
    TIMED_OUT = "their job reached its time limit"
    ABORTED = "we are shutting down"


@dataclass(frozen=True)
class End:
    """How a job's containers ended. `failed` is the index of the first that ended by itself with a code above 0."""

    why: Why
    exits: tuple[Exit, ...]
    failed: int | None = None


class Signals:
    """What others want of containers that somebody follows. Thread-safe; a signal cannot be taken back."""

    def __init__(self) -> None:
        self._stop, self._abort = threading.Event(), threading.Event()

    def stop(self) -> None:
        """End them with their grace period."""
        self._stop.set()

    def abort(self) -> None:
        """End them at once."""
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
    containers: Sequence[Container],
    signals: Signals,
    clock: Callable[[], float],
    deadline: float,
    *,
    on_tick: Callable[[], None],
    grace_s: float = STOP_GRACE_S,
    sibling_grace_s: float = SIBLING_GRACE_S,
) -> End:
    """Wait until all have ended, and end them all on a signal, at the clock's `deadline`, or when one has failed.

    `on_tick` is called about every POLL_S while they run. What it raises comes through: they run on then.
    """
    ends: SimpleQueue[tuple[int, Exit]] = SimpleQueue()  # in their order: when one dies, others soon die of it
    for index, container in enumerate(containers):
        name = f"end of {container.spec.name}"
        threading.Thread(target=_await, args=(index, container, ends), name=name, daemon=True).start()
    exits: dict[int, Exit] = {}
    while True:
        with suppress(Empty):
            index, exits[index] = ends.get(timeout=POLL_S)
            if exits[index].code != 0:
                return End(Why.EXITED, stop_all(containers, sibling_grace_s), failed=index)
        if len(exits) == len(containers):
            return End(Why.EXITED, tuple(exits[index] for index in range(len(containers))))
        why = _reason(signals, clock() >= deadline)
        if why:
            return End(why, stop_all(containers, 0 if why is Why.ABORTED else grace_s))
        on_tick()


def stop_all(containers: Sequence[Container], grace_s: float) -> tuple[Exit, ...]:
    """Stop them side by side, each with the same grace; returns when nothing of them is left."""
    with ThreadPoolExecutor(max(1, len(containers))) as pool:
        return tuple(pool.map(lambda container: container.stop(grace_s), containers))


def _await(index: int, container: Container, ends: SimpleQueue[tuple[int, Exit]]) -> None:
    while (end := container.wait(_WAIT_S)) is None:
        pass
    ends.put((index, end))


def _reason(signals: Signals, late: bool) -> Why | None:
    if signals.aborted:
        return Why.ABORTED
    if signals.stopped:
        return Why.STOPPED
    return Why.TIMED_OUT if late else None
