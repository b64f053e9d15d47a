"""What CloudWatch is told of the models of one instance of a multi-model endpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stagemaker.core.refs import Scope
from stagemaker.core.telemetry import Telemetry

NAMESPACE, INSTANCES = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
MINUTE_S = 60


@dataclass(frozen=True)
class MultiModelMetrics:
    """Of one variant. `clock` is epoch seconds; `dimensions` are those of the variant's metrics now."""

    logs: Telemetry
    scope: Scope
    dimensions: Callable[[], Sequence[Mapping[str, str]]]
    clock: Callable[[], float]

    def hit(self, loaded: bool) -> None:
        """Whether a request found its model loaded."""
        self._put(NAMESPACE, "ModelCacheHit", float(loaded), "None")

    def time(self, name: str, seconds: float) -> None:
        """One of ModelLoadingWaitTime, ModelDownloadingTime, ModelLoadingTime and ModelUnloadingTime."""
        self._put(NAMESPACE, name, round(seconds * 1e6), "Microseconds")

    def loaded(self, count: int) -> None:
        """How many models the instance has loaded. AWS has one value for each instance and minute."""
        self._put(INSTANCES, "LoadedModelCount", float(count), "None")

    def _put(self, namespace: str, name: str, value: float, unit: str) -> None:
        now_s = self.clock()
        for dimensions in self.dimensions():
            self.logs.metric(self.scope, namespace, name, value, unit, dimensions, now_s)
