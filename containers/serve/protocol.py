"""uvicorn's HTTP protocol, with bounds on what a client may leave waiting, and with refusals that cost little.

The application gets a request when its whole body is there. Until then the request has no place in the queue, and its
connection has a time limit and a place in a pool:

- A head must arrive within `Limits.head_timeout_s`, and must not be larger than MAX_HEADER_BYTES.
- A body must arrive within `Limits.body_timeout_s`, to which every `Limits.body_bytes_per_s` bytes add a second.
- A connection without a request, or whose client does not read, is closed after `Limits.idle_timeout_s`.

When the queue is full, the protocol itself answers 503, because the framework would take time from the requests in the
queue. Only calls of a model need a place: /ping is never refused.
"""

import asyncio
import json
import logging
from functools import cache
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from containers.serve.connections import Connections, Pool, Wait
from containers.serve.numbers import whole_number
from containers.serve.refused import Refused
from containers.serve.settings import MAX_BODY_BYTES, MAX_HEADER_BYTES, RETRY_AFTER_S

INVOCATIONS = "/invocations"
BUSY = Refused(503, "The server is busy; try again.", RETRY_AFTER_S)
TOO_LARGE = Refused(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
_LOG = logging.getLogger("serve")


def protocol_class(connections: Connections) -> type["BoundedProtocol"]:
    """The class of the protocol for a server whose connections share this."""
    return type("SharingProtocol", (BoundedProtocol,), {"shared": connections})


class BoundedProtocol(HttpToolsProtocol):
    """One connection of a server. Made by the classes that protocol_class() gives."""

    shared: Connections

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._wait = Wait.FIRST
        self._pool: Pool | None = None
        self._wait_began_s = 0.0  # by the loop's clock
        self._timer: asyncio.TimerHandle | None = None
        self._parsing = False
        self._head_bytes: int | None = None  # received so far of a head; None outside of one
        self._in_body = False
        self._unstarted: tuple[RequestResponseCycle, ASGI3Application] | None = None  # waits for the rest of its body
        self._counted_bytes = 0  # of the body, in shared.body_bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the original
        """Called by the event loop for a new connection."""
        super().connection_made(transport)
        self._enter(Wait.FIRST)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop when the connection is closed, by whichever side."""
        self._leave()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with each piece of data. The first piece of a head is not counted, because it may
        also hold the end of the request before."""
        if self._wait in (Wait.FIRST, Wait.NEXT):
            self._leave()
            self._head_bytes = 0  # an empty line before a head is a part of it
        elif self._head_bytes is not None:
            self._head_bytes += len(data)
        self._parsing = True
        super().data_received(data)
        self._parsing = False
        if self._head_bytes is not None and self._head_bytes > MAX_HEADER_BYTES:
            self.send_400_response(f"The headers are larger than {MAX_HEADER_BYTES:,} bytes.")
        self._settle()

    def on_message_begin(self) -> None:
        """Called by the parser when a request begins."""
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser after the last header."""
        self._head_bytes = None
        self._in_body = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Called by the parser with each piece of a body."""
        super().on_body(body)
        if self._unstarted is not None:
            if len(self.cycle.body) > MAX_BODY_BYTES:
                self._refuse(self.cycle, TOO_LARGE)
            else:
                self.flow.resume_reading()  # the original waits for the application here

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request."""
        super().on_message_complete()
        self._in_body = False
        if self._unstarted is not None:
            cycle, app = self._unstarted
            self._unstarted = None
            self._start(cycle, app)
        if self.cycle.response_complete:  # the request is refused
            if self.cycle.keep_alive:
                self._pause()
            else:
                self.transport.close()

    def on_response_complete(self) -> None:
        """Called at the end of each answer."""
        super().on_response_complete()
        if self.pipeline:  # the original reads on here: a client that sends without end would fill the memory
            self.flow.pause_reading()
        if not self._parsing:
            self._settle()

    def pause_writing(self) -> None:
        """Called by the transport when the client does not read."""
        super().pause_writing()
        if not self._parsing:
            self._settle()

    def resume_writing(self) -> None:
        """Called by the transport when the client has read."""
        super().resume_writing()
        if not self._parsing:
            self._settle()

    def timeout_keep_alive_handler(self) -> None:
        """Called when there was no next request for `Limits.idle_timeout_s`. What the client has not read is lost."""
        self.transport.abort()

    def make_room(self) -> None:
        """Leaves its pool, and closes the connection for newer ones."""
        if self._wait is Wait.BODY and self._unstarted is not None:
            self._refuse(self._unstarted[0], BUSY, close=True)
        else:
            self._leave()
            self.transport.abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Called by the original when it is this request's turn, mostly after its head. Waits for the body, unless the
        request is refused already."""
        if not cycle.more_body:
            self._start(cycle, app)
        elif _length(cycle) > MAX_BODY_BYTES:
            self._refuse(cycle, TOO_LARGE, close=cycle.waiting_for_100_continue)
        elif self._is_busy_for(cycle):
            self._refuse(cycle, BUSY, close=cycle.waiting_for_100_continue)
        else:
            self._unstarted = (cycle, app)
            if cycle.waiting_for_100_continue:
                cycle.waiting_for_100_continue = False
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _start(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Gives a whole request to the application, or refuses it."""
        if self._is_busy_for(cycle):
            self._refuse(cycle, BUSY)
            return
        in_place = self.shared.queue.hold(app) if _needs_place(cycle) else app

        async def settling(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            try:
                await in_place(scope, receive, send)
            finally:
                if not cycle.response_complete:  # a stream broke: the original closes the connection now
                    self.loop.call_soon(self._settle)

        super()._start_asgi_task(cycle, settling)

    def _pause(self) -> None:
        """Reads nothing for a moment, so that clients that try again at once take no time from the requests in the
        queue."""
        self.flow.pause_reading()
        self.loop.call_later(self.shared.limits.pause_s, self._resume)

    def _resume(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def _is_busy_for(self, cycle: RequestResponseCycle) -> bool:
        return _needs_place(cycle) and self.shared.queue.is_full()

    def _refuse(self, cycle: RequestResponseCycle, refused: Refused, *, close: bool = False) -> None:
        """Answers a request that the application has not seen. With `close` the connection ends; else the rest of the
        body is read and dropped, because most clients read the answer only after they have sent it."""
        self._unstarted = None
        if refused is BUSY:  # a full server refuses many requests: a line for each would cost time
            self.shared.queue.refused += 1
        else:
            _LOG.info("refused %d: %s", refused.status, refused.message)
        cycle.keep_alive = cycle.keep_alive and not close
        cycle.response_started = cycle.response_complete = True
        cycle.body = bytearray()
        self._write(refused, keep_alive=cycle.keep_alive)
        if close or not (cycle.keep_alive or cycle.more_body):
            self.transport.close()
        if self.pipeline:
            self.loop.call_soon(self.on_response_complete)  # a direct call would recurse once for each request in it
        else:
            self.on_response_complete()

    def _write(self, refused: Refused, *, keep_alive: bool) -> None:
        headers = [b"%s: %s\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join([STATUS_LINE[refused.status], *headers, _rest(refused, keep_alive)]))

    def _settle(self) -> None:
        """Gives the connection the pool and the time limit of what it waits for now."""
        if self not in self.connections:  # it is lost
            return
        wait = self._waits_for()
        if wait is not self._wait:
            self._leave()
            self._enter(wait)
        if wait is Wait.BODY:
            self._count(len(self.cycle.body))
            self.shared.limit_bodies()

    def _waits_for(self) -> Wait:
        if self.transport.is_closing():
            return Wait.READER if self.flow.write_paused else Wait.CLOSE
        if self._unstarted is not None or (self._in_body and self.cycle.response_complete):
            return Wait.BODY
        if self.flow.write_paused:
            return Wait.READER
        if self.cycle is not None and not self.cycle.response_complete:
            return Wait.SERVER
        return Wait.HEAD if self._head_bytes is not None else Wait.NEXT

    def _enter(self, wait: Wait) -> None:
        self._wait = wait
        self._pool, limit_s = self.shared.bounds[wait]
        if wait in (Wait.FIRST, Wait.NEXT):
            if self.timeout_keep_alive_task is None:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
        elif limit_s is not None:
            self._unset_keepalive_if_required()
            self._wait_began_s = self.loop.time()
            self._timer = self.loop.call_later(limit_s, self._expire)
        if self._pool is not None:
            self._pool.add(self)

    def _leave(self) -> None:
        self._wait = Wait.SERVER
        if self._pool is not None:
            self._pool.discard(self)
            self._pool = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._count(0)

    def _count(self, body_bytes: int) -> None:
        """Counts the part of a body that has come, while the rest is still coming."""
        self.shared.body_bytes += body_bytes - self._counted_bytes
        self._counted_bytes = body_bytes

    def _expire(self) -> None:
        """Called when the time limit is over."""
        match self._wait:
            case Wait.HEAD:
                self._write(self.shared.late_head, keep_alive=False)
                self.transport.close()
                self._settle()
            case Wait.BODY if (left_s := self._body_time_s()) > 0:
                self._timer = self.loop.call_later(left_s, self._expire)
            case Wait.BODY if self._unstarted is not None:
                self._refuse(self._unstarted[0], self.shared.late_body, close=True)
            case _:
                self.transport.abort()

    def _body_time_s(self) -> float:
        """The time that the body still has: what has come of it adds time. Nothing is added once it is refused."""
        limits = self.shared.limits
        allowed_s = limits.body_timeout_s + len(self.cycle.body) / limits.body_bytes_per_s
        return self._wait_began_s + allowed_s - self.loop.time()


def _needs_place(cycle: RequestResponseCycle) -> bool:
    path = cycle.scope["path"]
    is_call = path == INVOCATIONS or (path.startswith("/models/") and path.endswith("/invoke"))
    return is_call and cycle.scope["method"] == "POST"


def _length(cycle: RequestResponseCycle) -> int:
    """What the head says about the size of the body; 0 when it says nothing. The parser has checked the number."""
    text = next((value for name, value in cycle.scope["headers"] if name == b"content-length"), b"0")
    return whole_number(text.decode("latin-1").strip()) or 0


@cache
def _rest(refused: Refused, keep_alive: bool) -> bytes:
    """The answer to a refused request, without the status line and the headers that change."""
    body = json.dumps({"error": refused.message}).encode()
    headers = [b"content-type: application/json", b"content-length: %d" % len(body)]
    if refused.retry_after_s:
        headers.append(b"retry-after: %d" % refused.retry_after_s)
    if not keep_alive:
        headers.append(b"connection: close")
    return b"\r\n".join([*headers, b"", body])
