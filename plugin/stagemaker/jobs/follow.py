"""Follows the containers of one attempt: their ends, signals, a time limit, and what has to be done meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import partial
from queue import Empty, SimpleQueue

from stagemaker.core.signals import Signals
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import Container, Exit

POLL_S = 0.1  # how often the signals and the clock are looked at
STOP_GRACE_S = 120.0  # AWS: SIGTERM, and 120 s later SIGKILL
SIBLING_GRACE_S = 5.0  # (ours) for the others when one has failed: they wait for it in vain
_WAIT_S = 3600.0


class EndReason(Enum):
    """Why the containers ended."""

    EXITED = "by themselves, or because one of them failed"
    STOPPED = "their job was stopped"
    INTERRUPTED = "their attempt was interrupted"
    TIMED_OUT = "their job reached its time limit"
    ABORTED = "the stage shuts down"


@dataclass(frozen=True)
class End:
    """How the containers ended. `failed` is the index of the first that ended by itself with a code above 0."""

    reason: EndReason
    exits: tuple[Exit, ...]
    failed: int | None = None


def follow(
    containers: Sequence[Container],
    signals: Signals,
    clock: Callable[[], float],
    deadline_s: float,
    *,
    supervisor: Supervisor,
    on_tick: Callable[[], None],
    grace_s: float = STOP_GRACE_S,
    sibling_grace_s: float = SIBLING_GRACE_S,
) -> End:
    """Wait until all have ended, and end them all on a signal, at the clock's `deadline_s`, or when one has failed.

    `on_tick` is called about every POLL_S while they run. What it raises comes through: they run on then.
    """
    ends: SimpleQueue[tuple[int, Exit]] = SimpleQueue()  # in their order: when one dies, others soon die of it
    for index, container in enumerate(containers):
        supervisor.follow(f"end of {container.spec.name}", partial(_await, index, container, ends))
    exits: dict[int, Exit] = {}
    while True:
        with suppress(Empty):
            index, exits[index] = ends.get(timeout=POLL_S)
            if exits[index].code != 0:
                return End(EndReason.EXITED, stop_all(containers, sibling_grace_s), failed=index)
        if len(exits) == len(containers):
            return End(EndReason.EXITED, tuple(exits[index] for index in range(len(containers))))
        reason = _reason(signals, clock() >= deadline_s)
        if reason:
            return End(reason, stop_all(containers, 0 if reason is EndReason.ABORTED else grace_s))
        on_tick()


def stop_all(containers: Sequence[Container], grace_s: float) -> tuple[Exit, ...]:
    """Stop them side by side, each with the same grace; returns when nothing of them is left."""
    with ThreadPoolExecutor(max(1, len(containers))) as pool:
        return tuple(pool.map(lambda container: container.stop(grace_s), containers))


def _await(index: int, container: Container, ends: SimpleQueue[tuple[int, Exit]]) -> None:
    while (end := container.wait(_WAIT_S)) is None:
        pass
    ends.put((index, end))


def _reason(signals: Signals, late: bool) -> EndReason | None:
    if signals.aborted:
        return EndReason.ABORTED
    if signals.stopped:
        return EndReason.STOPPED
    if signals.interrupted:
        return EndReason.INTERRUPTED
    return EndReason.TIMED_OUT if late else None
