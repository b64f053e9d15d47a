"""What the instances of endpoints use: CPU, memory and disk, told to CloudWatch as AWS tells it.

GPUUtilization and GPUMemoryUtilization are not told. https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.core.store import Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import Telemetry
from stagemaker.hosting.dispatch import Routers
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.instance import Instance
from stagemaker.hosting.layout import VariantLayout
from stagemaker.runtime.contract import Usage

LOG = logging.getLogger(__name__)
NAMESPACE = "/aws/sagemaker/Endpoints"
LOOK_S = 1.0


@dataclass(frozen=True)
class Sample:
    """What the containers of an instance used up to a moment of the clock, by their names."""

    at_s: float
    usage: Mapping[str, Usage]


class Utilization:
    """Looks at the end of each period. `clock` is epoch seconds; `real_s` is how long a period of AWS takes here."""

    def __init__(
        self,
        store: Store,
        routers: Routers,
        telemetry: Telemetry,
        clock: Callable[[], float],
        real_s: Callable[[int], int] = lambda aws_s: aws_s,
    ) -> None:
        self._store, self._routers, self._telemetry = store, routers, telemetry
        self._clock, self._real_s = clock, real_s
        self._last: dict[str, Sample] = {}  # by the instance's id
        self._ended = threading.Event()

    def start(self, supervisor: Supervisor) -> None:
        """Begin to look."""
        supervisor.start("utilization", self._run, cancel=self._ended.set)

    def sample(self) -> None:
        """Tell of each instance whose period has ended since the last time. Its first period begins when it is seen."""
        seen: dict[str, Sample] = {}
        for ref, fleet, variant, instance in self._instances():
            last = self._last.get(instance.id)
            now_s, every_s = self._clock(), self._real_s(fleet.layout.metrics.every_s)
            if last and now_s // every_s == last.at_s // every_s:
                seen[instance.id] = last
            elif usage := instance.usage():
                seen[instance.id] = Sample(now_s, usage)
                is_same = last is not None and _total(usage).cpu_s >= _total(last.usage).cpu_s  # container
                if last and is_same and now_s > last.at_s:  # the clock may be set back
                    self._tell(ref, fleet, variant, instance, last, seen[instance.id])
        self._last = seen

    def _run(self) -> None:
        while not self._ended.wait(LOOK_S):
            try:
                self.sample()
            except Exception:
                LOG.exception("what instances use")

    def _instances(self) -> Iterator[tuple[Ref, Fleet, VariantLayout, Instance]]:
        for ref, _ in self._store.everywhere(ENDPOINT):
            router = self._routers.router(ref)
            for fleet in list(router.shares) if router else []:
                for variant in fleet.layout.all_variants:
                    for instance in fleet.instances(variant.name):
                        yield ref, fleet, variant, instance

    def _tell(
        self, ref: Ref, fleet: Fleet, variant: VariantLayout, instance: Instance, before: Sample, now: Sample
    ) -> None:
        """Of the instance, and with direct invocation of each of its containers."""
        elapsed_s = now.at_s - before.at_s
        used = _percents(_total(before.usage), _total(now.usage), elapsed_s)
        if variant.is_serverless:
            used = {"MemoryUtilization": used["MemoryUtilization"]}  # which is all that AWS lists for it
        else:
            used["DiskUtilization"] = 100 * _size_bytes(instance.layout.base_dir) / variant.max_model_bytes
        told = [(dimensions, used) for dimensions in fleet.instance_dimensions(variant.name, instance.id)]
        for name in now.usage.keys() & before.usage.keys() if variant.is_direct else ():
            percents = _percents(before.usage[name], now.usage[name], elapsed_s)
            told += [({**of_variant, "ContainerName": name}, percents) for of_variant in fleet.dimensions(variant.name)]
        for dimensions, values in told:
            for name, value in values.items():
                self._telemetry.metric(ref.scope, NAMESPACE, name, value, "Percent", dimensions, now.at_s)


def _percents(before: Usage, now: Usage, elapsed_s: float) -> dict[str, float]:
    """AWS counts 100 for each core that is busy."""
    return {
        "CPUUtilization": 100 * (now.cpu_s - before.cpu_s) / elapsed_s,
        "MemoryUtilization": 100 * now.memory_bytes / now.memory_limit_bytes,
    }


def _total(usage: Mapping[str, Usage]) -> Usage:
    """Of containers that share a machine."""
    each = usage.values()
    return Usage(
        cpu_s=sum(one.cpu_s for one in each),
        memory_bytes=sum(one.memory_bytes for one in each),
        memory_limit_bytes=max(one.memory_limit_bytes for one in each),
    )


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # it has just gone
            total += path.lstat().st_size if path.is_file() else 0
    return total
