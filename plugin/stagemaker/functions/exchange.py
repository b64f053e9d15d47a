"""What the platform and one function's program say to each other, without the protocol, which is `runtime_api.py`'s.

Deciding what it means is `environment.py`'s.
"""

import json
import queue
import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Invocation:
    """One event for the function. `deadline_ms` is in epoch milliseconds; `client_context` is JSON in one line, or
    empty."""

    request_id: str
    arn: str
    payload: bytes
    trace_id: str
    deadline_ms: int = 0
    client_context: str = ""


@dataclass(frozen=True)
class Ready:
    """The program asked for its next invocation."""


@dataclass(frozen=True)
class InvocationResponse:
    """What the function returned, or the error that it raised, as JSON."""

    payload: bytes
    is_error: bool


@dataclass(frozen=True)
class InitError:
    """The function's module or handler could not be loaded."""

    payload: bytes


@dataclass(frozen=True)
class Ended:
    """The program ended."""


Event = Ready | InvocationResponse | InitError | Ended


class Exchange:
    """Of one program, from its start to its end. Thread-safe. The program calls `take`, `respond` and `fail`."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._offered: queue.SimpleQueue[Invocation | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._current = ""  # the id of the invocation that has no response yet
        self._initialised = False  # or has failed to
        self._taken = False

    def next_event(self, timeout_s: float) -> Event | None:
        """What the program said next, or None when it says nothing in time."""
        try:
            return self._events.get(timeout=max(timeout_s, 0))
        except queue.Empty:
            return None

    def offer(self, invocation: Invocation) -> None:
        """Give it to the program when it asks for its next one; one at a time."""
        with self._lock:
            self._current, self._taken = invocation.request_id, False
        self._offered.put(invocation)

    def end(self) -> None:
        """Say that the program has ended, and let go whoever still asks in its name."""
        self._events.put(Ended())
        self._offered.put(None)

    def take(self) -> Invocation | None:
        """Block until there is an invocation, or None at the end."""
        with self._lock:
            self._initialised = True
        self._events.put(Ready())
        invocation = self._offered.get()
        if invocation is None:
            self._offered.put(None)  # for whoever else waits
        else:
            with self._lock:
                self._taken = True
        return invocation

    def was_taken(self) -> bool:
        """Whether the program was given the invocation that was offered last."""
        with self._lock:
            return self._taken

    def put_back(self, invocation: Invocation) -> None:
        """Whoever took it has gone before it could hear of it."""
        with self._lock:
            self._taken = False
        self._offered.put(invocation)

    def respond(self, request_id: str, response: InvocationResponse) -> bool:
        """Take the response to the current invocation; False when it is another's, or the second."""
        with self._lock:
            if not request_id or request_id != self._current:
                return False
            self._current = ""
        self._events.put(response)
        return True

    def fail(self, failure: InitError) -> bool:
        """Take the error of the initialisation; False after it, so that nothing piles up between invocations."""
        with self._lock:
            if self._initialised:
                return False
            self._initialised = True
        self._events.put(failure)
        return True


def error(kind: str, message: str) -> bytes:
    """An error of the platform, in the form that AWS answers."""
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
