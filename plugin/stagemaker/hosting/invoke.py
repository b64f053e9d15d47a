"""InvokeEndpoint: choose a container, pass the request on, and answer or explain as SageMaker Runtime does."""

import time
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Protocol

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.core.telemetry import Telemetry
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.http_client import CONNECT_S, NotReached, Reply, TooLarge
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.router import Router

MAX_BODY_BYTES = 6_291_456  # of request and response, from botocore's model
TIMEOUT_S = 60.0  # AWS's, from the choice of a container to its whole answer
MAX_MESSAGE_CHARS = 8_192  # (ours) of a container's error that is passed on
NAMESPACE = "AWS/SageMaker"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
PASSED_ON = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": ATTRIBUTES,
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
OTHER_KINDS = {
    "TargetModel": "multi-model endpoint",
    "TargetContainerHostname": "multi-container endpoint",
    "InferenceComponentName": "endpoint with inference components",
    "EnableExplanations": "endpoint with an explainer",
    "SessionId": "endpoint with stateful sessions",
    "PrefixAwareId": "endpoint with prefix-aware routing",
}
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Routers(Protocol):
    """The part of `endpoints.Endpoints` that invocations need."""

    def router(self, ref: Ref) -> Router[Fleet] | None: ...


class _NoInstance(Exception):
    """No instance of the variant takes the request."""


class _NoAnswer(Exception):
    """The container may have got the request and gave no usable answer; the message says why."""


class Invoke:
    """InvokeEndpoint. Its own time and the container's go to CloudWatch, in microseconds."""

    def __init__(self, store: Store, routers: Routers, logs: Telemetry, clock: Callable[[], float]) -> None:
        self._store, self._routers, self._logs, self._clock = store, routers, logs, clock

    def invoke_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The container's answer.

        ValidationError for an endpoint that does not serve or a request that it cannot take; ServiceUnavailable while
        no container of the variant is healthy; ModelError, 424, for every answer of the container but 2xx, and none.
        """
        began_s, deadline_s = self._clock(), time.monotonic() + TIMEOUT_S
        ref, reply = Ref(scope, ENDPOINT, request["EndpointName"]), None
        router = self._routers.router(ref)
        if router is None or not router.shares:
            raise self._not_serving(ref)
        _refuse_wrong(request)
        while reply is None:
            router, fleet, variant = self._choose(ref, request.get("TargetVariant"))
            sent_s = self._clock()
            try:
                reply = _ask(router, fleet, variant, request, deadline_s)
            except _NoInstance:
                if fleet in router.shares:  # else another one has taken over
                    raise _none_healthy(variant) from None
            except _NoAnswer as error:
                reply = Reply(0, {}, str(error).encode())
        answered_s = self._clock()
        self._measure(scope, fleet, variant, reply.status, model_s=answered_s - sent_s, own_s=sent_s - began_s)
        if not 200 <= reply.status < 300:
            raise _model_error(scope, fleet, reply)
        return {
            "Body": reply.body,
            "InvokedProductionVariant": variant.name,
            **_present({"ContentType": "content-type", "CustomAttributes": ATTRIBUTES.lower()}, reply.headers),
        }

    def _choose(self, ref: Ref, target_variant: str | None) -> tuple[Router[Fleet], Fleet, VariantLayout]:
        """Who is to answer, but for the instance."""
        router = self._routers.router(ref)
        chosen = router.choose(target_variant) if router else None
        if router is None or chosen is None:
            raise self._not_serving(ref)
        fleet, name = chosen
        return router, fleet, _variant(fleet, name)

    def _not_serving(self, ref: Ref) -> ApiError:
        record = self._store.get(ref)
        why = f" It is {record['EndpointStatus']}, not InService." if record else ""
        return ApiError("ValidationError", f"Endpoint {ref.name} of account {ref.scope.account} not found.{why}")

    def _measure(
        self, scope: Scope, fleet: Fleet, variant: VariantLayout, status: int, *, model_s: float, own_s: float
    ) -> None:
        """AWS's metrics of an endpoint; the error counts get their 0 too, so that their average is the error rate."""
        values = {
            "Invocations": 1.0,
            "InvocationsPerInstance": 1 / max(1, fleet.in_service(variant.name)),
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status == 0 or status >= 500),
            "InvocationModelErrors": float(not 200 <= status < 300),
        }
        times = {"ModelLatency": round(model_s * 1e6), "OverheadLatency": round(own_s * 1e6)}
        dimensions = {"EndpointName": fleet.layout.endpoint, "VariantName": variant.name}
        now = self._clock()
        for name, value in values.items():
            self._logs.metric(scope, NAMESPACE, name, value, "None", dimensions, now)
        for name, microseconds in times.items():
            self._logs.metric(scope, NAMESPACE, name, microseconds, "Microseconds", dimensions, now)


def _refuse_wrong(request: Mapping[str, Any]) -> None:
    if len(request["Body"]) > MAX_BODY_BYTES:
        raise ApiError("ValidationError", f"The body is longer than {MAX_BODY_BYTES} bytes.")
    for member, kind in OTHER_KINDS.items():
        if member in request:
            name = request["EndpointName"]
            raise ApiError("ValidationError", f"{member} cannot be given: endpoint {name} is no {kind}.")


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


def _ask(
    router: Router[Fleet], fleet: Fleet, variant: VariantLayout, request: Mapping[str, Any], deadline_s: float
) -> Reply:
    """Ask instances until one is reached: one that has just died is not the caller's problem. What may have reached one
    is sent to no other."""
    headers = {header: request[member] for member, header in PASSED_ON.items() if member in request}
    tried: set[str] = set()
    while lease := router.lease(fleet, variant, tried):
        tried.add(lease.id)
        with lease:
            try:
                return lease.client.request(
                    "POST",
                    "/invocations",
                    body=request["Body"],
                    headers=headers,
                    timeout_s=deadline_s - time.monotonic(),
                    max_bytes=MAX_BODY_BYTES,
                    connect_s=CONNECT_S if lease.others else None,
                    on_sending=lease.sent,
                )
            except NotReached:
                continue
            except TimeoutError as error:
                raise _NoAnswer(TIMED_OUT) from error
            except TooLarge as error:
                raise _NoAnswer(f"The container's response is longer than {MAX_BODY_BYTES} bytes.") from error
            except (OSError, HTTPException) as error:
                raise _NoAnswer(f"The container broke off the connection: {type(error).__name__}.") from error
    raise _NoInstance


def _model_error(scope: Scope, fleet: Fleet, reply: Reply) -> ApiError:
    side = "client" if 400 <= reply.status < 500 else "server"
    text = reply.body[: 4 * MAX_MESSAGE_CHARS].decode(errors="replace")[:MAX_MESSAGE_CHARS]
    group = fleet.layout.log_group
    page = f"https://{scope.console}/cloudwatch/home?region={scope.region}#logEventViewer:group="
    return ApiError(
        "ModelError",
        f'Received {side} error ({reply.status}) from primary with message "{text}". See {page}{group} '
        f"in account {scope.account} for more information.",
        424,
        {
            "OriginalStatusCode": reply.status,
            "OriginalMessage": text,
            "LogStreamArn": scope.arn("logs", f"log-group:{group}"),
        },
    )


def _present(members: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    return {member: headers[header] for member, header in members.items() if header in headers}
