"""Who gets which container of a serverless variant: each has one request at a time, the others wait in order."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from stagemaker.core.errors import ApiError
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.serverless import WAIT_S


class QueuedInstance(Protocol):
    """The part of `instance.Instance` that the queue needs."""

    @property
    def id(self) -> str: ...
    @property
    def idle_s(self) -> float | None: ...
    def take(self) -> Lease | None: ...


class QueueClosed(Exception):
    """The fleet ends: no request that waits gets a container of it."""


class _Waiting(NamedTuple):
    besides: frozenset[str]
    lease: Future[Lease]


class Admission:
    """The right of one request to a container. Leave it as a context manager, or `close` it, after the lease."""

    def __init__(self, queue: "ServerlessQueue") -> None:
        self._queue, self._open = queue, True

    def lease(self, besides: Collection[str] = ()) -> Lease:
        """A place on a container that has no other request, none of `besides` (instance ids), which may have to be
        started first. ModelNotReadyException (429) when there is none within WAIT_S; ServiceUnavailable (503) when one
        was started for it in vain; QueueClosed."""
        return self._queue.lease(frozenset(besides))

    def give_up(self, instance_id: str) -> None:
        """The container gave no answer: no other request gets it."""
        self._queue.give_up(instance_id)

    def close(self) -> None:
        """The request is over. A second call does nothing."""
        if self._open:
            self._open = False
            self._queue.leave()

    def __enter__(self) -> "Admission":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ServerlessQueue:
    """Of one serverless variant, called `variant` in errors. Thread-safe. `instances` are its containers now;
    `changed` is called when a request waits for one, and `began` for each request, with how many there are then."""

    def __init__(
        self,
        variant: str,
        instances: Callable[[], Sequence[QueuedInstance]],
        changed: Callable[[], object],
        began: Callable[[int], object],
        *,
        wait_s: float = WAIT_S,
    ) -> None:
        self.max_concurrency = 1
        self._variant, self._instances, self._changed, self._began = variant, instances, changed, began
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[_Waiting] = deque()
        self._given_up: set[str] = set()
        self._closed = False

    @property
    def given_up(self) -> frozenset[str]:
        """The ids of the containers that must go."""
        with self._lock:
            return frozenset(self._given_up)

    @property
    def running(self) -> int:
        """How many requests there are, those that wait included."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many of them have no container."""
        return len(self._waiting)

    def admit(self) -> Admission:
        """Count one request more. ThrottlingException when MaxConcurrency are there; QueueClosed."""
        with self._lock:
            if self._closed:
                raise QueueClosed
            if self._running >= self.max_concurrency:
                raise _throttled(self._variant, self.max_concurrency)
            self._running += 1
            running = self._running
        self._began(running)
        return Admission(self)

    def lease(self, besides: frozenset[str]) -> Lease:
        """As Admission's."""
        waiting = _Waiting(besides, Future())
        with self._lock:
            if self._closed:
                raise QueueClosed
            self._waiting.append(waiting)
        self.hand_out()
        if not waiting.lease.done():
            self._changed()
        try:
            return waiting.lease.result(self._wait_s)
        except TimeoutError:
            with self._lock:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
                    raise _not_ready(self._variant, self._wait_s) from None
            return waiting.lease.result()

    def leave(self) -> None:
        """One request less; its container is free."""
        with self._lock:
            self._running -= 1
        self.hand_out()

    def hand_out(self) -> None:
        """Give free containers to the requests that wait, to each in its turn; those first that were free for the
        shortest time, so that the others can go. To be called when a container has become free."""
        with self._lock:
            there = [each for each in self._instances() if each.id not in self._given_up]
            free = [(idle_s, each) for each in there if (idle_s := each.idle_s) is not None]
            free.sort(key=lambda one: one[0])
            for waiting in list(self._waiting):
                for one in [each for each in free if each[1].id not in waiting.besides]:
                    free.remove(one)
                    lease = one[1].take()  # None for one that has left service just now
                    if lease:
                        self._waiting.remove(waiting)
                        waiting.lease.set_result(lease)
                        break

    def give_up(self, instance_id: str) -> None:
        """As Admission's. Until `forget`, when it is no longer one of the containers."""
        with self._lock:
            self._given_up.add(instance_id)
        self._changed()

    def forget(self, instance_ids: Collection[str]) -> None:
        """These are gone."""
        with self._lock:
            self._given_up.difference_update(instance_ids)

    def fail_first(self, reason: str) -> None:
        """A container could not be started: tell the request that has waited for the longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().lease.set_exception(_not_started(self._variant, reason))

    def close(self) -> None:
        """Admit no more, and let all that wait go with QueueClosed."""
        with self._lock:
            self._closed = True
            for waiting in self._waiting:
                waiting.lease.set_exception(QueueClosed())
            self._waiting.clear()


def _throttled(variant: str, most: int) -> ApiError:
    sentence = f"Variant {variant} has {most} requests at once, which is its MaxConcurrency: try again later."
    return ApiError("ThrottlingException", sentence)


def _not_ready(variant: str, wait_s: float) -> ApiError:
    sentence = f"No container of variant {variant} was ready within {wait_s:.0f} s: try again later."
    return ApiError("ModelNotReadyException", sentence, 429)


def _not_started(variant: str, reason: str) -> ApiError:
    return ApiError("ServiceUnavailable", f"No container of variant {variant} could be started: {reason}", 503)
