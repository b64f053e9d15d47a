"""What SageMaker tells CloudWatch of an endpoint without being asked: that nobody calls it, and how many calls it has
at once. Scaling needs both: an idle endpoint would have no data, and keep its instances."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from stagemaker.core.kinds import ENDPOINT, ENDPOINT_CONFIG
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import Telemetry
from stagemaker.hosting.dispatch import Routers
from stagemaker.hosting.endpoint_metrics import NAMESPACE
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.serverless_metrics import Values

LOG = logging.getLogger(__name__)
SAMPLE_S = 1.0  # (ours) how often the calls that an endpoint has are counted
COUNTS = ("Invocations", "InvocationsPerInstance")  # 0 in a period without calls
CONCURRENCY = "ConcurrentRequestsPerModel"  # AWS's, of high resolution: calls that an instance has at once


@dataclass(frozen=True)
class Variant:
    """A production variant of an endpoint in service, and its calls at this moment for each of its instances; of a
    serverless one, which has none, AWS's metrics of concurrency."""

    ref: Ref
    name: str
    concurrency: float
    is_serverless: bool = False
    serverless: Values = field(default_factory=dict)

    @property
    def dimensions(self) -> dict[str, str]:
        """Of its metrics."""
        return {"EndpointName": self.ref.name, "VariantName": self.name}


class Meter:
    """Tells what no invocation tells. `minute_s` and `ten_s` are the lengths of
    AWS's periods here; `clock` is epoch seconds. Thread-safe, but for `sample`."""

    def __init__(
        self,
        store: Store,
        routers: Routers,
        telemetry: Telemetry,
        clock: Callable[[], float],
        minute_s: int = 60,
        ten_s: int = 10,
    ) -> None:
        self._store, self._routers, self._telemetry, self._clock = store, routers, telemetry, clock
        self._minute_s, self._ten_s = minute_s, ten_s
        self._minute, self._ten = self._periods(clock())
        self._called: dict[tuple[Scope, str, str], float] = {}  # when each variant was called last
        self._samples: dict[tuple[Scope, str, str], list[float]] = defaultdict(list)
        self._ended = threading.Event()

    def start(self, supervisor: Supervisor) -> None:
        """Begin to tell."""
        supervisor.start("metering", self._run, cancel=self._ended.set)

    def called(self, scope: Scope, endpoint: str, variant: str) -> None:
        """A call of the variant has ended, of which CloudWatch is told by others."""
        self._called[scope, endpoint, variant] = self._clock()

    def sample(self) -> None:
        """Count the calls of every variant once, and tell of each period that has ended since the last time."""
        minute, ten = self._minute, self._ten
        self._minute, self._ten = self._periods(self._clock())
        variants = list(self._variants())
        of_instances = [variant for variant in variants if not variant.is_serverless]
        for variant in of_instances:
            self._samples[_key(variant)].append(variant.concurrency)
        if ten != self._ten:
            self._tell_concurrency(of_instances, ten * self._ten_s)
        if minute != self._minute:
            self._tell_idle(variants, minute * self._minute_s)

    def _run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            try:
                self.sample()
            except Exception:
                LOG.exception("what endpoints tell unasked")

    def _periods(self, now_s: float) -> tuple[int, int]:
        """The numbers of the minute and of the ten seconds that it is."""
        return int(now_s // self._minute_s), int(now_s // self._ten_s)

    def _tell_concurrency(self, variants: list[Variant], period_s: int) -> None:
        for variant in variants:
            samples = self._samples[_key(variant)]
            self._put(variant, CONCURRENCY, sum(samples) / len(samples), period_s)
        self._samples.clear()

    def _tell_idle(self, variants: list[Variant], period_s: int) -> None:
        """Of the period that began at `period_s` and is over."""
        for variant in variants:
            if self._called.get(_key(variant), 0.0) < period_s:
                for name in COUNTS[:1] if variant.is_serverless else COUNTS:
                    self._put(variant, name, 0.0, period_s)
                for unit, values in variant.serverless.items():
                    for name, value in values.items():
                        self._put(variant, name, value, period_s, unit)
        for gone in set(self._called) - {_key(variant) for variant in variants}:
            self._called.pop(gone)

    def _put(self, variant: Variant, name: str, value: float, period_s: int, unit: str = "None") -> None:
        self._telemetry.metric(variant.ref.scope, NAMESPACE, name, value, unit, variant.dimensions, period_s)

    def _variants(self) -> Iterator[Variant]:
        """Those of all real-time endpoints that serve: asynchronous ones have metrics of their own."""
        for ref, record in self._store.everywhere(ENDPOINT):
            config = self._store.get(Ref(ref.scope, ENDPOINT_CONFIG, record["EndpointConfigName"]))
            if config and "AsyncInferenceConfig" in config:
                continue
            router = self._routers.router(ref)
            fleets = list(router.shares) if router else []
            for name in sorted({variant.name for fleet in fleets for variant in fleet.layout.variants}):
                latest = fleets[-1]
                yield Variant(
                    ref, name, _concurrency(fleets, name), latest.layout.is_serverless, latest.serverless_metrics
                )


def _concurrency(fleets: list[Fleet], variant: str) -> float:
    having = [fleet for fleet in fleets if fleet.layout.variant(variant) is not None]
    instances = [instance for fleet in having for instance in fleet.instances(variant)]
    serving = sum(instance.in_service for instance in instances)
    return sum(instance.outstanding for instance in instances) / max(1, serving)


def _key(variant: Variant) -> tuple[Scope, str, str]:
    return variant.ref.scope, variant.ref.name, variant.name
