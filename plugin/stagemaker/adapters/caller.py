"""Whoever waits for an answer that is sent while it is made: whether they take it, and whether they are still there.

Twisted's WSGI writes whatever it gets: for a caller who reads slowly it would keep all of an answer in memory, and it
notices one who has left only when the next piece is there.
"""

import threading
from collections.abc import Callable
from typing import Any

from rolo.serving.twisted import HeaderPreservingWSGIResource, HeaderPreservingWSGIResponse
from twisted.internet import reactor
from twisted.internet.threads import blockingCallFromThread
from twisted.web.server import NOT_DONE_YET

from stagemaker.adapters.contents import SENT

NAME = "stagemaker.caller"  # in the environment of a WSGI request
SLOW_S = 60.0  # (ours) a caller who takes nothing for so long is cut off


class Caller:
    """The sender of one request. Twisted's thread calls what is named as twisted names it, and `left`; the thread that
    answers calls the rest."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._changed = threading.Condition()
        self._has_room, self._has_left = True, False
        self._calls: list[Callable[[], object]] = []
        request.notifyFinish().addBoth(self.left)

    def when_left(self, call: Callable[[], object]) -> None:
        """Call it, once, in twisted's thread: when the caller goes away, or the answer has ended."""
        with self._changed:
            if not self._has_left:
                self._calls.append(call)
                return
        call()

    def begin(self) -> None:
        """Be told from now on whether there is room."""
        blockingCallFromThread(reactor, self._register)  # type: ignore[no-untyped-call]

    def wait_for_room(self) -> None:
        """Until the caller has taken nearly all that was written, or has left. Who takes nothing for SLOW_S is cut
        off."""
        with self._changed:
            if self._changed.wait_for(lambda: self._has_room or self._has_left, SLOW_S):
                return
        blockingCallFromThread(reactor, self._cut_off)  # type: ignore[no-untyped-call]

    def left(self, _reason: Any = None) -> None:
        """There is nobody to answer any more."""
        with self._changed:
            self._has_left = True
            calls, self._calls = self._calls, []
            self._changed.notify_all()
        for call in calls:
            call()

    def pauseProducing(self) -> None:
        """There is enough to send."""
        self._has_room = False

    def resumeProducing(self) -> None:
        """It was sent."""
        with self._changed:
            self._has_room = True
            self._changed.notify_all()

    def stopProducing(self) -> None:
        """The connection has ended: `left` is called."""

    def _register(self) -> None:
        if not self._has_left:
            self._request.registerProducer(self, True)

    def _cut_off(self) -> None:
        if not self._has_left:
            self._request.channel.transport.abortConnection()


class CallerResource(HeaderPreservingWSGIResource):
    """LocalStack's gateway over WSGI, whose requests know their callers."""

    def render(self, request: Any) -> Any:
        """Answer it in a thread."""
        response: Any = HeaderPreservingWSGIResponse(  # type: ignore[no-untyped-call]
            self._reactor, self._threadpool, self._application, request
        )
        response.environ[NAME] = Caller(request)
        response.environ[SENT] = (request.head, request.body)
        response.start()
        return NOT_DONE_YET
