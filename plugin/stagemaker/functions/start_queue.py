"""The starts of functions take turns: two hundred at once would each take longer than an initialisation may."""

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from stagemaker.core.errors import shutting_down


class StartQueue[T]:
    """`most` starts at once; the others wait in the order in which they came. Who waits may get something that is
    started already instead. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._free = most
        self._waiting: deque[tuple[Hashable, Future[T | None]]] = deque()
        self._closed = False

    def enter(self, key: Hashable = None) -> T | None:
        """Wait for a turn, and return None: then call `leave` after the start. Or return what was offered for `key`
        before that. ServiceUnavailable (503) once `close` was called."""
        with self._lock:
            if self._closed:
                raise shutting_down()
            if self._free:
                self._free -= 1
                return None
            turn: Future[T | None] = Future()
            self._waiting.append((key, turn))
        return turn.result()

    def leave(self) -> None:
        """Give the turn to the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft()[1].set_result(None)
            else:
                self._free += 1

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn from its beginning to its end."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def offer(self, key: Hashable, started: T) -> bool:
        """Give `started` to the first that waits with this key; whether there was one."""
        with self._lock:
            found = next((each for each in self._waiting if each[0] == key), None)
            if found is None:
                return False
            self._waiting.remove(found)
        found[1].set_result(started)
        return True

    def close(self) -> None:
        """Let everybody go who waits, with ServiceUnavailable."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, deque()
        for _, turn in waiting:
            turn.set_exception(shutting_down())
