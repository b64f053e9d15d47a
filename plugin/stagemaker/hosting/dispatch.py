"""Brings a call to an instance of an endpoint: who answers it, and what it comes to."""

import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, ExitStack
from http import HTTPStatus
from typing import Protocol

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref
from stagemaker.core.store import Store
from stagemaker.hosting.async_config import AsyncConfig
from stagemaker.hosting.calls import MAX_BODY_BYTES, ContainerCall
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.http_client import CONNECT_S, Answer, NotReached, Reply
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.model_error import NO_STATUS, PRIMARY
from stagemaker.hosting.multi_container import check_target_container
from stagemaker.hosting.multi_model import check_target, model_call
from stagemaker.hosting.passage import NoAnswer, Passage
from stagemaker.hosting.router import Router
from stagemaker.hosting.serverless_queue import Admission, QueueClosed, ServerlessQueue


class Routers(Protocol):
    """The part of `endpoints.Endpoints` that invocations need."""

    def router(self, ref: Ref) -> Router[Fleet] | None: ...


class _NoInstance(Exception):
    """No instance of the variant takes the request."""


class Exchange:
    """A call that an instance has got, and the answer to it, if one has begun. Leave it as a context manager, or
    `close` it: then the place on the instance is free. One thread reads; `cancel` may be called from any."""

    def __init__(self, fleet: Fleet, variant: VariantLayout, lease: Lease, sent_s: float) -> None:
        self.fleet, self.variant, self.lease = fleet, variant, lease
        self.sent_s = sent_s  # by the clock that is shown
        self.failure = ""  # why there is no answer, or not all of it
        self._passage: Passage | None = None  # once it is sent
        self._blocks = ExitStack()
        self.admission: Admission | None = None  # of a serverless variant

    def send(self, call: ContainerCall, timeout_s: float, max_bytes: int = MAX_BODY_BYTES) -> None:
        """Ask the instance. NotReached when it did not get the request; any other failure is kept. What one container
        of a pipeline says to the next has at most `max_bytes`."""
        self._passage = Passage(self.lease.containers_for(call.target_container), max_bytes)
        connect_s = CONNECT_S if self.lease.others else None
        try:
            self._passage.send(call, timeout_s, connect_s=connect_s, on_sending=lambda: self._sending(call))
        except NoAnswer as error:
            self.failure = str(error)

    def enter[T](self, block: AbstractContextManager[T]) -> T:
        """Enter a block that is left at the end of the exchange."""
        return self._blocks.enter_context(block)

    def _sending(self, call: ContainerCall) -> None:
        self.lease.sent(call.longer_s)
        if self.fleet.copies:
            self.fleet.copies.offer(call)

    @property
    def answer(self) -> Answer | None:
        """What the container has begun to answer."""
        return self._passage.answer if self._passage else None

    @property
    def container(self) -> str:
        """The name of the container that answers or failed."""
        return self._passage.container if self._passage else PRIMARY

    def latencies_s(self) -> dict[str, float]:
        """How long each container had the call, when the answer was read just now."""
        return self._passage.latencies_s() if self._passage else {}

    def read(self) -> bytes:
        """The next piece of the answer as soon as it has come; nothing at the end, and of no answer. NoAnswer."""
        try:
            return self._passage.read() if self._passage else b""
        except NoAnswer as error:
            self.failure = str(error)
            raise

    def reply(self, max_bytes: int) -> Reply:
        """The whole answer. Where there is none, the status is NO_STATUS and the body says why."""
        try:
            if self._passage and self._passage.answer:
                return self._passage.read_whole(max_bytes)
        except NoAnswer as error:
            self.failure = str(error)
        return Reply(NO_STATUS, {}, self.failure.encode())

    def cancel(self) -> None:
        """Break off the request: whoever reads gets NoAnswer."""
        if self._passage:
            self._passage.cancel()

    def drop_answer(self) -> None:
        """Read no more of the answer, if there is one."""
        if self._passage:
            self._passage.close()

    def close(self) -> None:
        """End it. A second call does nothing."""
        self.drop_answer()
        self._blocks.close()
        if self.admission and self.failure:
            self.admission.give_up(self.lease.id)
        self.lease.leave()
        if self.admission:
            self.admission.close()

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Dispatcher:
    """Chooses who answers. `clock` is epoch seconds."""

    def __init__(self, store: Store, routers: Routers, clock: Callable[[], float]) -> None:
        self._store, self._routers, self._clock = store, routers, clock

    def check_serving(self, ref: Ref) -> None:
        """ValidationError for an endpoint that does not serve, and for an asynchronous one."""
        if self._async_config(ref):
            raise ApiError("ValidationError", f"Endpoint {ref.name} is asynchronous: use InvokeEndpointAsync.")

    def check_async(self, ref: Ref) -> AsyncConfig:
        """What an asynchronous endpoint is configured for. ValidationError for one that does not serve, and for a
        real-time one."""
        config = self._async_config(ref)
        if config is None:
            sentence = f"Endpoint {ref.name} is not asynchronous: its configuration has no AsyncInferenceConfig."
            raise ApiError("ValidationError", sentence)
        return config

    def _async_config(self, ref: Ref) -> AsyncConfig | None:
        router = self._routers.router(ref)
        fleets = list(router.shares) if router else []
        if not fleets:
            raise self._not_serving(ref)
        return fleets[-1].layout.async_config

    def begin(self, ref: Ref, call: ContainerCall, target_variant: str | None) -> Exchange:
        """Send the call to an instance: another one when one that has just died was not reached, and another fleet's
        when one has none in service. What may have reached one is sent to no other.

        ValidationError for an endpoint that does not serve, a variant that it does not have, and a TargetModel or
        TargetContainerHostname that does not fit the variant; ServiceUnavailable while no instance of it is healthy. A
        serverless variant starts one if need be.
        """
        deadline_s = time.monotonic() + call.timeout_s
        tried: set[Fleet] = set()
        while True:
            router, fleet, variant = self._choose(ref, target_variant, tried)
            try:
                return self._send(router, fleet, variant, call, deadline_s)
            except _NoInstance:
                tried.add(fleet)
                if router.choose(target_variant, tried) is None and fleet in router.shares:
                    raise _none_healthy(variant) from None

    def _send(
        self, router: Router[Fleet], fleet: Fleet, variant: VariantLayout, call: ContainerCall, deadline_s: float
    ) -> Exchange:
        endpoint = fleet.layout.endpoint
        check_target(endpoint, variant.models, call)
        check_target_container(endpoint, variant.container_names, variant.is_direct, call.target_container)
        if fleet.queue:
            return self._send_serverless(fleet, fleet.queue, variant, call)
        sent_s, tried = self._clock(), set[str]()
        while lease := router.lease(fleet, variant, tried, call.target_model):
            tried.add(lease.id)
            exchange = Exchange(fleet, variant, lease, sent_s)
            try:
                self._deliver(exchange, call, deadline_s)
            except BaseException as error:
                exchange.close()
                if isinstance(error, NotReached):
                    continue
                raise
            return exchange
        raise _NoInstance

    def _send_serverless(
        self, fleet: Fleet, queue: ServerlessQueue, variant: VariantLayout, call: ContainerCall
    ) -> Exchange:
        """Send it when there is a container for it alone; its time begins then. ThrottlingException and
        ModelNotReadyException as the queue says; ValidationError for a body that is too long."""
        if isinstance(call.body, bytes) and len(call.body) > variant.max_body_bytes:
            sentence = f"The body is longer than {variant.max_body_bytes} bytes, which a serverless endpoint takes."
            raise ApiError("ValidationError", sentence)
        tried = set[str]()
        try:
            with ExitStack() as block:
                admission = block.enter_context(queue.admit())
                while True:
                    lease = admission.lease(tried)
                    tried.add(lease.id)
                    exchange = Exchange(fleet, variant, lease, self._clock())
                    try:
                        exchange.send(call, call.timeout_s)
                    except BaseException as error:
                        exchange.close()
                        if isinstance(error, NotReached):
                            continue
                        raise
                    exchange.admission = admission
                    block.pop_all()
                    return exchange
        except QueueClosed:
            raise _NoInstance from None

    def _deliver(self, exchange: Exchange, call: ContainerCall, deadline_s: float) -> None:
        """Send the call; one for a model of a multi-model endpoint when that is loaded, which it stays until the end of
        the exchange. Other models are unloaded as long as the container has no memory to run it."""
        models, client = exchange.lease.models, exchange.lease.client
        if models is None:
            exchange.send(call, deadline_s - time.monotonic())
            return
        name = exchange.enter(models.use(call.target_model, client, deadline_s))
        exchange.sent_s = self._clock()
        while True:
            exchange.send(model_call(call, name), deadline_s - time.monotonic())
            status = exchange.answer.status if exchange.answer else None
            if status != HTTPStatus.INSUFFICIENT_STORAGE or not models.make_room(client):
                break
            exchange.drop_answer()
        if status == HTTPStatus.NOT_FOUND:
            models.forget(call.target_model)

    def _choose(
        self, ref: Ref, target_variant: str | None, besides: Collection[Fleet]
    ) -> tuple[Router[Fleet], Fleet, VariantLayout]:
        """Who is to answer, but for the instance."""
        router = self._routers.router(ref)
        chosen = router.choose(target_variant, besides) if router else None
        if router is None or chosen is None:
            raise self._not_serving(ref)
        fleet, name = chosen
        return router, fleet, _variant(fleet, name)

    def _not_serving(self, ref: Ref) -> ApiError:
        record = self._store.get(ref)
        why = f" It is {record['EndpointStatus']}, not InService." if record else ""
        return ApiError("ValidationError", f"Endpoint {ref.name} of account {ref.scope.account} not found.{why}")


def _variant(fleet: Fleet, name: str | None) -> VariantLayout:
    variant, endpoint = fleet.layout.variant(name), fleet.layout.endpoint
    if variant is not None:
        return variant
    if name is None:
        raise ApiError("ValidationError", f"No production variant of endpoint {endpoint} has a weight above 0.")
    raise ApiError("ValidationError", f"Endpoint {endpoint} has no production variant {name}.")


def _none_healthy(variant: VariantLayout) -> ApiError:
    why = "they are being restarted, or are too late with their answer to GET /ping"
    return ApiError("ServiceUnavailable", f"No container of production variant {variant.name} is healthy: {why}.", 503)
