"""Copies of requests for a shadow variant: sent beside; their answers are captured, or thrown away.

A copy never holds up the request that it is of, which only puts it into a short queue; where there is no room the copy
is dropped and counted. It is sent to one instance, and never again.
"""

import threading
from collections import deque
from contextlib import suppress
from http.client import HTTPException

from stagemaker.core.refs import Scope
from stagemaker.hosting.calls import MAX_BODY_BYTES, ContainerCall
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.endpoint_metrics import COUNT, EndpointMetrics
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.http_client import TooLarge
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.model_error import NO_STATUS, is_error
from stagemaker.hosting.router import WeightedRoundRobin

MAX_SENT, MAX_WAITING = 8, 8  # (ours) copies of a fleet
DROPPED = "ShadowRequestsDropped"  # (ours) a metric of the shadow variant
_COPY, _NO_COPY = True, False


def sampled_share(production_weight: float, shadow_weight: float) -> float:
    """Of the requests, for the shadow variant (ours: AWS gives no formula)."""
    return min(1.0, shadow_weight / production_weight) if production_weight > 0 else 0.0


class ShadowCopies:
    """Of one fleet with a shadow variant. Thread-safe. `start` it, and `end` it when the fleet has stopped."""

    def __init__(self, fleet: Fleet, shadow: VariantLayout, scope: Scope, context: FleetContext) -> None:
        self._fleet, self._shadow, self._scope, self._context = fleet, shadow, scope, context
        self._metrics = EndpointMetrics(context.logs, context.clock)
        self._changed = threading.Condition()
        self._turns: WeightedRoundRobin[bool] = WeightedRoundRobin()
        self._waiting: deque[ContainerCall] = deque()
        self._ended = False

    def start(self) -> None:
        """ServiceUnavailable once the stage shuts down."""
        for number in range(MAX_SENT):
            name = f"shadow {self._fleet.layout.endpoint} {number}"
            self._context.supervisor.start(name, self._run, cancel=self.end)

    def end(self) -> None:
        """Take no more copies, and send none that waits."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def offer(self, call: ContainerCall) -> None:
        """Send a copy of the call, if it is one of the share that the weights say. It waits for nothing.

        Only calls that have no more time than InvokeEndpoint are copied (ours)."""
        if call.longer_s or not isinstance(call.body, bytes):
            return
        production, *_ = self._fleet.layout.variants
        share = sampled_share(self._fleet.weight(production.name), self._fleet.weight(self._shadow.name))
        with self._changed:
            if self._ended or self._turns.next({_COPY: share, _NO_COPY: 1 - share}) is not _COPY:
                return
            if has_room := len(self._waiting) < MAX_WAITING:
                self._waiting.append(call)
                self._changed.notify()
        if not has_room:
            self._count_dropped()

    def _run(self) -> None:
        while call := self._next():
            self._send(call)

    def _next(self) -> ContainerCall | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return None if self._ended else self._waiting.popleft()

    def _send(self, call: ContainerCall) -> None:
        lease = self._lease()
        if lease is None:
            self._count_dropped()
            return
        sent_s, status = self._context.clock(), NO_STATUS
        with lease, suppress(OSError, HTTPException, TooLarge):  # which the metrics tell
            reply = lease.client.request(
                "POST",
                call.path,
                body=call.body,
                headers=call.headers,
                timeout_s=call.timeout_s,
                max_bytes=MAX_BODY_BYTES,
                on_sending=lease.sent,
            )
            status = reply.status
            if self._fleet.capture and not is_error(status):
                self._fleet.capture.offer(self._shadow.name, call, reply, sent_s)
        model_s = self._context.clock() - sent_s
        self._metrics.invocation(
            self._scope, self._fleet, self._shadow, status, instance=lease.id, model_s=model_s, own_s=0.0
        )

    def _lease(self) -> Lease | None:
        """On the instance that has the fewest requests."""
        instances = sorted(self._fleet.instances(self._shadow.name), key=lambda instance: instance.outstanding)
        return next(filter(None, (instance.take() for instance in instances)), None)

    def _count_dropped(self) -> None:
        self._metrics.of_variant(self._scope, self._fleet, self._shadow, {DROPPED: 1.0}, COUNT)
