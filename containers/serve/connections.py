"""What the connections of one server share: its queue, and a pool for each thing that connections wait for.

Every pool has a limit, and one connection more closes the oldest. So callers that only wait cannot keep others out.
There is no limit for each address, because behind a router all callers have one.
"""

from enum import Enum, auto
from typing import Protocol

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope

from containers.serve.refused import Refused
from containers.serve.settings import Limits


class Wait(Enum):
    """What a connection waits for."""

    FIRST = auto()  # its first byte
    HEAD = auto()  # the rest of a head
    BODY = auto()  # the rest of a body, also of a request that is refused already
    SERVER = auto()  # this server: its parser, or the application
    READER = auto()  # a client that does not read a large answer
    NEXT = auto()  # the next request
    CLOSE = auto()  # its end: the last bytes are on their way to the client


class Connection(Protocol):
    """A member of a pool."""

    def make_room(self) -> None:
        """Leaves the pool, and closes."""


class Pool:
    """Connections in the order of their arrival, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._members: dict[Connection, None] = {}

    def add(self, connection: Connection) -> None:
        """Adds the connection as the newest, and closes the oldest when there is one too many."""
        self._members[connection] = None
        if len(self._members) > self._limit:
            self.close_oldest()

    def discard(self, connection: Connection) -> None:
        """Takes the connection out, if it is in."""
        self._members.pop(connection, None)

    def close_oldest(self) -> None:
        """Closes the oldest connection."""
        next(iter(self._members)).make_room()


class Queue:
    """The requests that the server has accepted and not yet answered, at most `places`."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.held = 0
        self.refused = 0  # requests, because it was full

    def is_full(self) -> bool:
        """Whether one more request must be refused."""
        return self.held >= self.places

    def hold(self, app: ASGI3Application) -> ASGI3Application:
        """Takes a place for one request. Gives the application that answers it. It has no place while it sends, which
        waits for the client: one that does not read its answer holds none. A stream that goes on takes a place again,
        also when there is none, because it has been accepted."""
        self.held += 1

        async def in_place(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def send_without_place(event: ASGISendEvent) -> None:
                self.held -= 1
                try:
                    await send(event)
                finally:
                    self.held += 1

            try:
                await app(scope, receive, send_without_place)
            finally:
                self.held -= 1

        return in_place


class Connections:
    """The queue and the pools of one server. All calls come from one event loop."""

    def __init__(self, queue: int, limits: Limits) -> None:
        self.queue = Queue(queue)
        self.limits = limits
        without_head, idle = Pool(limits.connections), Pool(limits.connections)
        self.bodies = Pool(limits.connections)
        # The pool and the time limit of each wait. uvicorn has the timer for FIRST and NEXT.
        self.bounds: dict[Wait, tuple[Pool | None, float | None]] = {
            Wait.FIRST: (without_head, None),
            Wait.HEAD: (without_head, limits.head_timeout_s),
            Wait.BODY: (self.bodies, limits.body_timeout_s),
            Wait.SERVER: (None, None),
            Wait.READER: (Pool(limits.readers), limits.idle_timeout_s),
            Wait.NEXT: (idle, None),
            Wait.CLOSE: (None, limits.idle_timeout_s),
        }
        self.body_bytes = 0  # of all bodies that are still coming
        self.late_head = Refused(408, f"The head of the request did not arrive within {limits.head_timeout_s:g} s.")
        self.late_body = Refused(
            408,
            f"The body did not arrive within {limits.body_timeout_s:g} s, "
            f"and was slower than {limits.body_bytes_per_s:,} bytes a second.",
        )

    def limit_bodies(self) -> None:
        """Closes the connection whose body has been coming for longest, until all such bodies fit into the memory that
        they may take."""
        while self.body_bytes > self.limits.body_bytes:
            self.bodies.close_oldest()
