"""InvokeEndpointWithResponseStream: what a container answers is passed on while it comes."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from stagemaker.api.event_stream import Event
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref, Scope
from stagemaker.hosting.calls import MAX_BODY_BYTES, container_call, passed_back
from stagemaker.hosting.container_metrics import container_invocation
from stagemaker.hosting.dispatch import Dispatcher, Exchange
from stagemaker.hosting.endpoint_metrics import COUNT, EndpointMetrics
from stagemaker.hosting.http_client import Reply
from stagemaker.hosting.model_error import NO_STATUS, is_error, model_error
from stagemaker.hosting.passage import NoAnswer

LOG = logging.getLogger(__name__)
TIMEOUT_S = 480.0  # quoted of AWS: a streamed answer has 8 minutes, from the choice of a container to its last byte


class Pieces(Protocol):
    """The part of `dispatch.Exchange` that a stream needs."""

    def read(self) -> bytes: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


class ResponseStream(Iterator[Event]):
    """The events of one answer: a PayloadPart for each piece as it comes from the container, and at the end what has
    gone wrong, if anything has. One thread iterates, and then closes it; `cancel` may be called from any."""

    def __init__(self, pieces: Pieces, first: bytes, ended: Callable[[bool], object]) -> None:
        """`first` is the first piece. `ended` is called once, with whether the stream has ended in an error."""
        self._pieces, self._first, self._ended = pieces, first, ended
        self._over = self._failed = self._cancelled = self._closed = False

    def __next__(self) -> Event:
        if self._over:
            raise StopIteration
        try:
            piece, self._first = self._first or self._pieces.read(), b""
        except Exception as error:
            self._over = True
            if self._cancelled:
                raise StopIteration from error
            self._failed = True
            return _failure(error)
        if not piece:
            self._over = True
            raise StopIteration
        return {"PayloadPart": {"Bytes": piece}}

    def cancel(self) -> None:
        """Nobody wants the rest: the container is not listened to any longer."""
        self._cancelled = True
        self._pieces.cancel()

    def close(self) -> None:
        """End the request to the container, and free its place. A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._pieces.close()
            self._ended(self._failed)


class ResponseStreams:
    """InvokeEndpointWithResponseStream. `clock` is epoch seconds."""

    def __init__(self, dispatcher: Dispatcher, metrics: EndpointMetrics, clock: Callable[[], float]) -> None:
        self._dispatcher, self._metrics, self._clock = dispatcher, metrics, clock

    def invoke_endpoint_with_response_stream(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answers when the first piece has come, with a ResponseStream as the Body, which must be closed.

        What goes wrong before is an error as InvokeEndpoint's. What goes wrong later is the last event:
        ModelStreamError, with the code ModelInvocationTimeExceeded or StreamBroken, or InternalStreamFailure.
        """
        began_s = self._clock()
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        self._dispatcher.check_serving(ref)
        call = container_call(request, TIMEOUT_S)
        exchange = self._dispatcher.begin(ref, call, request.get("TargetVariant"))
        try:
            reply = _begun(exchange)
        except BaseException:
            exchange.close()
            raise
        fleet, variant = exchange.fleet, exchange.variant
        first_s, own_s = self._clock(), exchange.sent_s - began_s

        def measure() -> None:
            model_s = self._clock() - exchange.sent_s
            self._metrics.invocation(
                scope, fleet, variant, reply.status, instance=exchange.lease.id, model_s=model_s, own_s=own_s
            )
            container_invocation(self._metrics, scope, exchange, reply.status, own_s)

        if is_error(reply.status):
            exchange.close()
            measure()
            raise model_error(scope, fleet.layout.log_group, reply.status, reply.body, exchange.container)
        first = {
            "FirstChunkLatency": first_s - began_s,
            "FirstChunkModelLatency": first_s - exchange.sent_s,
            "FirstChunkOverheadLatency": own_s,
        }
        self._metrics.times(scope, fleet, variant, first)

        def ended(failed: bool) -> None:
            measure()
            self._metrics.of_variant(scope, fleet, variant, {"MidStreamErrors": float(failed)}, COUNT)

        stream = ResponseStream(exchange, reply.body, ended)
        return {"Body": stream, "InvokedProductionVariant": variant.name, **passed_back(reply.headers)}


def _begun(exchange: Exchange) -> Reply:
    """The answer with its first piece only, or the whole of an error."""
    if exchange.answer is None or is_error(exchange.answer.status):
        return exchange.reply(MAX_BODY_BYTES)
    try:
        return Reply(exchange.answer.status, exchange.answer.headers, exchange.read())
    except NoAnswer as error:
        return Reply(NO_STATUS, {}, str(error).encode())


def _failure(error: Exception) -> Event:
    if isinstance(error, NoAnswer):
        code = "ModelInvocationTimeExceeded" if error.timed_out else "StreamBroken"
        return {"ModelStreamError": {"Message": str(error), "ErrorCode": code}}
    LOG.error("a response stream", exc_info=error)
    return {"InternalStreamFailure": {"Message": "The service failed while it read the model's answer."}}
