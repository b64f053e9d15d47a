"""InvokeEndpoint: choose a container, pass the request on, and answer or explain as SageMaker Runtime does."""

from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Protocol

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.hosting.fleet import Fleet, FleetLogs
from stagemaker.hosting.http_client import NotReached, Reply, TooLarge
from stagemaker.hosting.plan import VariantPlan

MAX_BODY_BYTES = 6_291_456  # of request and response, from botocore's model
TIMEOUT_S = 60.0  # AWS's, for the container's whole answer
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
}
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Serving(Protocol):
    """The part of `endpoints.Endpoints` that invocations need."""

    def serving(self, ref: Ref) -> Fleet | None: ...


class _NoTarget(Exception):
    """No instance of the variant takes the request."""


class _NoAnswer(Exception):
    """The container got the request and gave no usable answer; the message says why."""


class Invoke:
    """InvokeEndpoint. Its own time and the container's go to CloudWatch, in microseconds."""

    def __init__(self, store: Store, endpoints: Serving, logs: FleetLogs, clock: Callable[[], float]) -> None:
        self._store, self._endpoints, self._logs, self._clock = store, endpoints, logs, clock

    def invoke_endpoint(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """The container's answer.

        ValidationError for an endpoint that does not serve or a request that it cannot take; ServiceUnavailable while
        no container of the variant is healthy; ModelError, 424, for every answer of the container but 2xx, and none.
        """
        began = self._clock()
        _refuse_wrong(request)
        fleet = self._fleet(scope, request["EndpointName"])
        variant = _variant(fleet, request)
        sent = self._clock()
        reply = self._reply(scope, fleet, variant, request)
        if reply is None:
            return self.invoke_endpoint(scope, request)
        answered = self._clock()
        self._measure(scope, fleet, variant, reply.status, model_s=answered - sent, own_s=sent - began)
        if not 200 <= reply.status < 300:
            raise _model_error(scope, fleet, reply)
        return {
            "Body": reply.body,
            "InvokedProductionVariant": variant.name,
            **_present({"ContentType": "content-type", "CustomAttributes": ATTRIBUTES.lower()}, reply.headers),
        }

    def _fleet(self, scope: Scope, name: str) -> Fleet:
        ref = Ref(scope, ENDPOINT, name)
        fleet = self._endpoints.serving(ref)
        if fleet is None:
            record = self._store.get(ref)
            why = f" It is {record['EndpointStatus']}, not InService." if record else ""
            raise ApiError("ValidationError", f"Endpoint {name} of account {scope.account} not found.{why}")
        return fleet

    def _reply(self, scope: Scope, fleet: Fleet, variant: VariantPlan, request: Mapping[str, Any]) -> Reply | None:
        """The container's reply, of status 0 if it gave none; None if meanwhile another fleet has taken over."""
        try:
            return _ask(fleet, variant, request)
        except _NoAnswer as error:
            return Reply(0, {}, str(error).encode())
        except _NoTarget:
            if self._fleet(scope, request["EndpointName"]) is not fleet:
                return None
            sentence = f"No container of production variant {variant.name} is healthy: they are being restarted."
            raise ApiError("ServiceUnavailable", sentence, 503) from None

    def _measure(
        self, scope: Scope, fleet: Fleet, variant: VariantPlan, status: int, *, model_s: float, own_s: float
    ) -> None:
        """AWS's metrics of an endpoint; the error counts get their 0 too, so that their average is the error rate."""
        values = {
            "Invocations": 1.0,
            "InvocationsPerInstance": 1 / len(variant.instances),
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status == 0 or status >= 500),
            "InvocationModelErrors": float(not 200 <= status < 300),
        }
        times = {"ModelLatency": round(model_s * 1e6), "OverheadLatency": round(own_s * 1e6)}
        dimensions = {"EndpointName": fleet.plan.endpoint, "VariantName": variant.name}
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


def _variant(fleet: Fleet, request: Mapping[str, Any]) -> VariantPlan:
    name = request.get("TargetVariant") or fleet.choose_variant()
    for variant in fleet.plan.variants:
        if variant.name == name:
            return variant
    endpoint = fleet.plan.endpoint
    if name is None:
        raise ApiError("ValidationError", f"No production variant of endpoint {endpoint} has a weight above 0.")
    raise ApiError("ValidationError", f"Endpoint {endpoint} has no production variant {name}.")


def _ask(fleet: Fleet, variant: VariantPlan, request: Mapping[str, Any]) -> Reply:
    """Ask healthy instances until one is reached: one that has just died is not the caller's problem."""
    headers = {header: request[member] for member, header in PASSED_ON.items() if member in request}
    tried: set[str] = set()
    while True:
        with fleet.target(variant, tried) as target:
            if target is None:
                raise _NoTarget
            tried.add(target.instance.plan.id)
            try:
                return target.client.request(
                    "POST",
                    "/invocations",
                    body=request["Body"],
                    headers=headers,
                    timeout_s=TIMEOUT_S,
                    max_bytes=MAX_BODY_BYTES,
                )
            except NotReached:
                continue
            except TimeoutError as error:
                raise _NoAnswer(TIMED_OUT) from error
            except TooLarge as error:
                raise _NoAnswer(f"The container's response is longer than {MAX_BODY_BYTES} bytes.") from error
            except (OSError, HTTPException) as error:
                raise _NoAnswer(f"The container broke off the connection: {type(error).__name__}.") from error


def _model_error(scope: Scope, fleet: Fleet, reply: Reply) -> ApiError:
    side = "client" if 400 <= reply.status < 500 else "server"
    text = reply.body[: 4 * MAX_MESSAGE_CHARS].decode(errors="replace")[:MAX_MESSAGE_CHARS]
    group = fleet.plan.log_group
    page = f"https://{scope.region}.console.aws.amazon.com/cloudwatch/home?region={scope.region}#logEventViewer:group="
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
