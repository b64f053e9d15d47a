"""The metrics of single containers of an endpoint, which AWS has where a variant has several: ContainerLatency, and for
direct invocation also those of invocations."""

from stagemaker.core.refs import Scope
from stagemaker.hosting.dispatch import Exchange
from stagemaker.hosting.endpoint_metrics import COUNT, MICROSECONDS, EndpointMetrics


def container_invocation(
    metrics: EndpointMetrics, scope: Scope, exchange: Exchange, status: int, own_s: float | None
) -> None:
    """Of each container that had the call, whose answer was read just now. `own_s` is the time of the service itself,
    where that is a metric. Times are in seconds."""
    variant = exchange.variant
    if not variant.is_multi_container:
        return
    for container, took_s in exchange.latencies_s().items():
        counts, times_s = {}, {"ContainerLatency": took_s}
        if variant.is_direct:
            counts = {
                "Invocations": 1.0,
                "Invocation4XXErrors": float(400 <= status < 500),
                "Invocation5XXErrors": float(status == 0 or status >= 500),
            }
            times_s |= {"OverheadLatency": own_s} if own_s is not None else {}
        for of_variant in exchange.fleet.dimensions(variant.name):
            dimensions = {**of_variant, "ContainerName": container}
            metrics.put(scope, dimensions, counts, COUNT)
            metrics.put(scope, dimensions, {name: round(s * 1e6) for name, s in times_s.items()}, MICROSECONDS)
