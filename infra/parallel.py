"""Runs steps at the same time, each after those that it depends on, and ends them together.

Threads are made here and nowhere else in `infra` but for transfers. The main thread only waits, so that Ctrl-C reaches
it at once; it then ends the waits of all steps.
"""

import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Thread

from infra.wait import Cancelled, Waiting, within

AT_ONCE = 6  # (ours)
GRACE_S = 10.0  # (ours) for a call that is on its way when its step shall end


@dataclass(frozen=True)
class Task:
    """`work` runs after the tasks of these indices. `say` gets lines about what it waits for."""

    work: Callable[[], object]
    after: frozenset[int] = frozenset()
    say: Callable[[str], None] = lambda _: None


def run(tasks: Sequence[Task], *, goes_on: bool = False, at_once: int = AT_ONCE) -> None:
    """Run every task, at most `at_once` at a time.

    When one fails, no other begins, and those that run end with their next wait; with `goes_on` only those that come
    after it are left out. Then its exception is raised, or an ExceptionGroup when several failed. On KeyboardInterrupt
    every task ends with its next wait, and the interrupt goes on after GRACE_S at the latest."""
    crew = _Crew(tasks)
    try:
        _run(crew, goes_on, at_once)
    finally:
        crew.end()
    if len(crew.failures) == 1:
        raise crew.failures[0]
    if crew.failures:
        raise ExceptionGroup("several steps failed", crew.failures)


def _run(crew: "_Crew", goes_on: bool, at_once: int) -> None:
    while True:
        if not crew.failures or goes_on:
            for index in crew.ready()[: at_once - len(crew.running)]:
                crew.start(index)
        elif crew.running:
            crew.cancelled.set()
        if not crew.running:
            return
        crew.collect(None)


class _Crew:
    """The tasks with what has become of them. Its methods are for the main thread."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._waiting, self._done = dict.fromkeys(range(len(tasks))), set[int]()
        self._ended: SimpleQueue[tuple[int, BaseException | None]] = SimpleQueue()
        self.running, self.failures = set[int](), list[Exception]()
        self.cancelled = Event()

    def ready(self) -> list[int]:
        """Those that have not begun, and whose others are all done."""
        return [index for index in self._waiting if self._tasks[index].after <= self._done]

    def start(self, index: int) -> None:
        """Begin one in a thread, which ends with the process if it does not end before."""
        del self._waiting[index]
        self.running.add(index)
        Thread(target=copy_context().run, args=(self._work, index), daemon=True).start()

    def collect(self, limit_s: float | None) -> None:
        """Wait until one has ended. Raises queue.Empty after `limit_s`, and what a task raised that is no Exception."""
        index, error = self._ended.get(timeout=limit_s)
        self.running.discard(index)
        if error is None:
            self._done.add(index)
        elif isinstance(error, Exception):
            self.failures.append(error)
        elif not isinstance(error, Cancelled):
            raise error

    def end(self) -> None:
        """End what runs, and wait for it, for GRACE_S at most."""
        self.cancelled.set()
        deadline = time.monotonic() + GRACE_S
        try:
            while self.running:
                self.collect(max(0.0, deadline - time.monotonic()))
        except Empty:
            pass

    def _work(self, index: int) -> None:
        task, error = self._tasks[index], None
        try:
            with within(Waiting(self.cancelled, task.say)):
                task.work()
        except BaseException as raised:  # noqa: BLE001 - the main thread decides what it means
            error = raised
        self._ended.put((index, error))
