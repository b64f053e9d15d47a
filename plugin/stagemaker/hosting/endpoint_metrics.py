"""The metrics of endpoints, in the names and units of AWS's guide."""

from collections.abc import Callable, Mapping

from stagemaker.core.refs import Scope
from stagemaker.core.telemetry import Telemetry
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.layout import VariantLayout

NAMESPACE = "AWS/SageMaker"
COUNT, MICROSECONDS = "None", "Microseconds"


class EndpointMetrics:
    """Takes the values of one invocation at a time. Times are given in seconds. `clock` is epoch seconds; `called` is
    told of each invocation: the endpoint's name and the variant's."""

    def __init__(
        self,
        logs: Telemetry,
        clock: Callable[[], float],
        called: Callable[[Scope, str, str], object] = lambda *_: None,
    ) -> None:
        self._logs, self._clock, self._called = logs, clock, called

    def invocation(
        self,
        scope: Scope,
        fleet: Fleet,
        variant: VariantLayout,
        status: int,
        *,
        instance: str,
        model_s: float,
        own_s: float,
    ) -> None:
        """A call that was answered, or that no answer came to (status 0). The error counts get their 0 too, so that
        their average is the error rate. A serverless variant has none of instances, and of errors only AWS's list.
        `instance` is the id of the one that was asked."""
        counts = {
            "Invocations": 1.0,
            "Invocation4XXErrors": float(400 <= status < 500),
            "Invocation5XXErrors": float(status == 0 or status >= 500),
        }
        if not variant.is_serverless:
            counts["InvocationsPerInstance"] = 1 / max(1, fleet.in_service(variant.name))
            counts["InvocationModelErrors"] = float(not 200 <= status < 300)
        self._called(scope, fleet.layout.endpoint, variant.name)
        seconds = {"ModelLatency": model_s, "OverheadLatency": own_s}
        for dimensions in fleet.instance_dimensions(variant.name, instance):
            self.put(scope, dimensions, counts, COUNT)
            self.put(scope, dimensions, _microseconds(seconds), MICROSECONDS)

    def times(self, scope: Scope, fleet: Fleet, variant: VariantLayout, seconds: Mapping[str, float]) -> None:
        """Durations of a variant, which CloudWatch gets in microseconds."""
        self.of_variant(scope, fleet, variant, _microseconds(seconds), MICROSECONDS)

    def of_variant(
        self, scope: Scope, fleet: Fleet, variant: VariantLayout, values: Mapping[str, float], unit: str
    ) -> None:
        """Values of a variant; of a new fleet beside another one also under its configuration's name."""
        for dimensions in fleet.dimensions(variant.name):
            self.put(scope, dimensions, values, unit)

    def put(self, scope: Scope, dimensions: Mapping[str, str], values: Mapping[str, float], unit: str) -> None:
        """Values as they are."""
        now_s = self._clock()
        for name, value in values.items():
            self._logs.metric(scope, NAMESPACE, name, value, unit, dimensions, now_s)


def _microseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value * 1e6) for name, value in seconds.items()}
