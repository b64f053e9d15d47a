"""Every thread of the stage, and the end of all of them: the only `close` that anybody outside has to call.

Two sorts of threads. A *task* works for somebody (a job, a fleet) and has a way to be told to end. A *follower* reads
something to its end (a container's output) and ends with it; it needs no telling.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stagemaker.core.errors import shutting_down

LOG = logging.getLogger(__name__)
TASKS_WAIT_S = 20.0  # (ours) for an upload that hangs; what the owned resources close then kills what is left
FOLLOWERS_WAIT_S = 2.0  # (ours) after everything that they follow has been closed


@dataclass(eq=False)
class Task:
    """One thread that works for somebody. `cancel` asks it to end soon, from any thread; it must not wait."""

    name: str
    cancel: Callable[[], object]
    ended: threading.Event = field(default_factory=threading.Event)

    def join(self, timeout_s: float) -> bool:
        """Wait for its end, for at most so long; whether it has ended."""
        return self.ended.wait(timeout_s)


class Supervisor:
    """Starts threads, and ends them all by `close`. Thread-safe."""

    def __init__(self, *, tasks_wait_s: float = TASKS_WAIT_S) -> None:
        self.tasks_wait_s = tasks_wait_s
        self._lock = threading.Lock()
        self._tasks: dict[Task, None] = {}  # in the order of their starts, in which they are cancelled
        self._followers: set[threading.Thread] = set()
        self._owned: list[Callable[[], object]] = []
        self._closing = threading.Event()

    @property
    def closing(self) -> bool:
        """Whether `close` has begun."""
        return self._closing.is_set()

    def refuse_when_closing(self) -> None:
        """Raise ServiceUnavailable (503) once `close` has begun: the one answer of every part of the stage."""
        if self.closing:
            raise shutting_down()

    def start(self, name: str, run: Callable[[], object], *, cancel: Callable[[], object]) -> Task:
        """Start a task. ServiceUnavailable once `close` has begun; RuntimeError when there are no more threads. Neither
        leaves anything behind. What `run` raises is logged: a task handles what it foresees itself."""
        task = Task(name, cancel)

        def body() -> None:
            try:
                run()
            except Exception:
                LOG.exception("the thread %s", name)
            finally:
                with self._lock:
                    self._tasks.pop(task, None)
                task.ended.set()

        with self._lock:
            self.refuse_when_closing()
            threading.Thread(target=body, name=name, daemon=True).start()
            self._tasks[task] = None
        return task

    def follow(self, name: str, run: Callable[[], object]) -> threading.Thread:
        """Start a follower, also while `close` goes on. RuntimeError when there are no more threads."""

        def body() -> None:
            try:
                run()
            except Exception:
                LOG.exception("the thread %s", name)
            finally:
                with self._lock:
                    self._followers.discard(thread)

        thread = threading.Thread(target=body, name=name, daemon=True)
        with self._lock:
            thread.start()
            self._followers.add(thread)
        return thread

    def own(self, close: Callable[[], object]) -> None:
        """Have `close` called at the end, when no task is left; what was owned last is closed first. Once `close` has
        begun, it is called at once."""
        with self._lock:
            closing = self.closing
            if not closing:
                self._owned.append(close)
        if closing:
            self._guard(close)

    def threads(self) -> list[str]:
        """The names of the threads that run now, for people and tests."""
        with self._lock:
            return sorted([*(task.name for task in self._tasks), *(thread.name for thread in self._followers)])

    def close(self) -> None:
        """Refuse new tasks, cancel those that run and wait for them (not for ever), close what is owned, and wait for
        the followers. Everything is tried, whatever one of them raises. Idempotent: the second call waits again."""
        with self._lock:
            self._closing.set()
            tasks = list(self._tasks)
            owned, self._owned = self._owned, []
        for task in tasks:
            self._guard(task.cancel)
        deadline = time.monotonic() + self.tasks_wait_s
        if late := [task.name for task in tasks if not task.join(max(0.0, deadline - time.monotonic()))]:
            LOG.warning("not ended in time: %s", ", ".join(sorted(late)))
        for close in reversed(owned):
            self._guard(close)
        deadline = time.monotonic() + FOLLOWERS_WAIT_S
        for follower in list(self._followers):
            follower.join(max(0.0, deadline - time.monotonic()))

    def _guard(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            LOG.exception("while shutting down")
