"""InvokeEndpoint: pass the request on to a container, and answer or explain as SageMaker Runtime does."""

from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref, Scope
from stagemaker.hosting.calls import TIMEOUT_S, container_call, passed_back
from stagemaker.hosting.container_metrics import container_invocation
from stagemaker.hosting.dispatch import Dispatcher
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.model_error import is_error, model_error


class Invoke:
    """InvokeEndpoint. Its own time and the container's go to CloudWatch, in microseconds."""

    def __init__(self, dispatcher: Dispatcher, metrics: EndpointMetrics, clock: Callable[[], float]) -> None:
        self._dispatcher, self._metrics, self._clock = dispatcher, metrics, clock

    def invoke_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The container's answer.

        ValidationError for an endpoint that does not serve or a request that it cannot take; ServiceUnavailable while
        no container of the variant is healthy; ModelError, 424, for every answer of the container but 2xx, and none.
        Of a serverless endpoint also ThrottlingException (400) and ModelNotReadyException (429).
        """
        began_s = self._clock()
        ref = Ref(scope, ENDPOINT, request["EndpointName"])
        self._dispatcher.check_serving(ref)
        call = container_call(request, TIMEOUT_S)
        with self._dispatcher.begin(ref, call, request.get("TargetVariant")) as exchange:
            reply = exchange.reply(exchange.variant.max_body_bytes)
            if exchange.fleet.capture and not is_error(reply.status):  # while the fleet cannot end yet
                exchange.fleet.capture.offer(exchange.variant.name, call, reply, exchange.sent_s)
        model_s, own_s = self._clock() - exchange.sent_s, exchange.sent_s - began_s
        fleet, variant = exchange.fleet, exchange.variant
        self._metrics.invocation(
            scope, fleet, variant, reply.status, instance=exchange.lease.id, model_s=model_s, own_s=own_s
        )
        container_invocation(self._metrics, scope, exchange, reply.status, own_s)
        if is_error(reply.status):
            raise model_error(scope, fleet.layout.log_group, reply.status, reply.body, exchange.container)
        return {"Body": reply.body, "InvokedProductionVariant": variant.name, **passed_back(reply.headers)}
