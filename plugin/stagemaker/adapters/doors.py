"""What stands before LocalStack's gateway: it sees the head of each request before anything of the body is read.

It refuses callers that are not known and bodies that are too long, answers, and ends the connection. LocalStack takes
all bodies into memory, and exempts S3 from its check of origins.
"""

import logging
import tempfile
from typing import Any, cast

from localstack import config
from rolo.gateway import Gateway
from rolo.gateway.wsgi import WsgiGateway
from rolo.serving.twisted import HeaderPreservingHTTPChannel, TwistedGateway, TwistedRequestAdapter
from twisted.internet import reactor

from stagemaker.access.bodies import Body, body_of
from stagemaker.adapters.caller import CallerResource
from stagemaker.adapters.contents import read_whole
from stagemaker.adapters.lambda_urls import page_origins
from stagemaker.adapters.turns import InTurn
from stagemaker.api.body_limits import MAX_WHOLE_BYTES, BodyLimit, body_limit
from stagemaker.api.callers import Callers
from stagemaker.api.http_head import Head, Refusal, make_head, written

LOG = logging.getLogger(__name__)
HEAD_S = 10  # from a head's first byte to its last
IDLE_S = 75  # without a byte, within a body or between two requests
LINGER_S, LINGER_BYTES = 2.0, 64 << 20  # what a refused client may still send: cut off at once, it reads no answer
IN_MEMORY_BYTES = 100_000  # a longer body is written to disk


class Door(TwistedGateway):
    """LocalStack's gateway for the callers that are known. It speaks HTTP/1.1 only."""

    def __init__(self, gateway: Gateway, callers: Callers) -> None:
        in_turn = cast(Gateway, InTurn(gateway))
        super().__init__(in_turn)
        threads = reactor.getThreadPool()  # type: ignore[attr-defined]
        self.resource = CallerResource(reactor, threads, WsgiGateway(in_turn))  # type: ignore[no-untyped-call]
        self.callers = callers
        self.timeOut = IDLE_S
        self.protocol = _Channel  # type: ignore[method-assign]
        self.requestFactory = _Request


class _Content(tempfile.SpooledTemporaryFile[bytes]):
    """A request's body. Whoever reads it whole, and not piece by piece, gets an error above MAX_WHOLE_BYTES."""

    def __init__(self) -> None:
        super().__init__(IN_MEMORY_BYTES, dir=config.dirs.tmp)

    def read(self, *size: int | None) -> bytes:
        """`size` bytes, or all that are left."""
        wanted = size[0] if size else None
        if wanted is not None and wanted >= 0:
            return super().read(wanted)
        return read_whole(super().read, MAX_WHOLE_BYTES)


class _Request(TwistedRequestAdapter):
    """A request whose body is nobody's before its handler: twisted parses forms, and refuses those that it cannot."""

    channel: Any
    content: Any
    head: Head
    body: Body  # takes the hash that a signature has of it, while it comes

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named, parsePOSTFormSubmission=False)  # type: ignore[no-untyped-call]

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002 - as the original
        """The head is complete, and was taken."""
        self.content = _Content()
        self.head = self.channel.head
        self.body = body_of(self.head.value("x-amz-content-sha256"))

    def handleContentChunk(self, data: bytes) -> None:
        """A piece of the body has come."""
        if self.channel.takes(data):
            self.content.write(data)
            self.body.feed(data)

    def finish(self) -> None:
        """All of the answer was written."""
        if self.producer:
            self.unregisterProducer()  # type: ignore[no-untyped-call]
        super().finish()  # type: ignore[no-untyped-call]

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """All of the body has come."""
        if not self.channel.refused:
            super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]


class _Channel(HeaderPreservingHTTPChannel):
    """A connection. Twisted calls it in one thread."""

    site: Door
    transport: Any
    callLater: Any
    _path: Any
    refused = False
    head: Head
    _limit: BodyLimit
    _received_bytes = 0
    _reads_head = True
    _timer: Any = None  # of the head, or of what follows a refusal
    _dropped_bytes = 0

    def dataReceived(self, data: bytes) -> None:
        """Something has come. A head that has begun must end in time."""
        if self._reads_head and self._timer is None:
            self._timer = self.callLater(HEAD_S, self.timeoutConnection)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def allHeadersReceived(self) -> None:
        """Take the request, or refuse it."""
        self._reads_head = False
        self._stop_timer()
        self.head = head = self._read_head()
        self._limit, self._received_bytes = body_limit(head), 0
        origins = page_origins(head.value("host")) if head.value("origin") else ()
        if refusal := self.site.callers.refusal(head, origins) or self._other_refusal(head):
            self._refuse(refusal)
        else:
            super().allHeadersReceived()  # type: ignore[no-untyped-call]

    def takes(self, data: bytes) -> bool:
        """Whether the body is still of a length that may be; else it is refused."""
        self._received_bytes += len(data)
        if self._received_bytes > self._limit.limit_bytes and not self.refused:
            self._refuse(self._limit.refusal(self._received_bytes))
        return not self.refused

    def requestDone(self, request: Any) -> None:
        """The answer has been given."""
        self._reads_head = True
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def rawDataReceived(self, data: bytes) -> None:
        """Something of a body has come."""
        if not self.refused:
            super().rawDataReceived(data)
            return
        self._dropped_bytes += len(data)
        if self._dropped_bytes > LINGER_BYTES:
            self.transport.abortConnection()

    def connectionLost(self, reason: Any = None) -> None:
        """The connection has ended."""
        self._stop_timer()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _read_head(self) -> Head:
        headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, values in self.requests[-1].requestHeaders.getAllRawHeaders()
            for value in values
        ]
        address = self.transport.getHost().host
        return make_head(self._command.decode("latin-1"), self._path.decode("latin-1"), headers, address)

    def _other_refusal(self, head: Head) -> Refusal | None:
        if self.length is not None and self.length > self._limit.limit_bytes:
            return self._limit.refusal(self.length)
        if head.value("upgrade").lower() == "websocket":
            return Refusal(501, "NotImplementedException", "Stagemaker does not implement WebSockets yet.")
        return None

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, and end: nothing more of what comes is kept."""
        LOG.info("refused %s %s: %s", self.head.method, self.head.path[:200], refusal.message[:300])
        self.refused = True
        self.length = None  # so that twisted takes whatever comes for a body
        self.setTimeout(None)  # type: ignore[no-untyped-call]
        self._networkProducer.unregisterProducer()
        self.transport.write(written(self.head, refusal))
        self.transport.loseWriteConnection()
        self._timer = self.callLater(LINGER_S, self.transport.abortConnection)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
