"""Who still runs a function's code, which is deleted when the last call of an updated or deleted version has ended."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CodeUsers:
    """Counts the invocations that run a code, by its id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()
        self._waiting: dict[str, Callable[[], object]] = {}

    @contextmanager
    def use(self, code_id: str) -> Iterator[None]:
        """From the beginning of an invocation to its end. The last one to end does what waits for that."""
        with self._lock:
            self._users[code_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._users[code_id] -= 1
                action = None
                if not self._users[code_id]:
                    del self._users[code_id]
                    action = self._waiting.pop(code_id, None)
            if action:
                action()

    def when_unused(self, code_id: str, action: Callable[[], object]) -> None:
        """Do it now, or when nobody uses the code any more."""
        with self._lock:
            if self._users[code_id]:
                self._waiting[code_id] = action
                return
            del self._users[code_id]
        action()
