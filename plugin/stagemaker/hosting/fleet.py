"""Everything that runs for an endpoint under one configuration: started together, watched, and taken down together."""

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from stagemaker.core.refs import Scope
from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.instance import Instance
from stagemaker.hosting.model_data import BadModelData, ModelDataAccount, fetch_model
from stagemaker.hosting.plan import FleetPlan, InstancePlan, VariantPlan, next_variant
from stagemaker.runtime.contract import Runtime
from stagemaker.runtime.hardware import sentence

STARTING_POLL_S = 0.1
WATCH_POLL_S = 0.2


class FleetAccount(ModelDataAccount, Protocol):
    """The part of `aws.account.Account` that a fleet needs."""

    def role_environment(self, scope: Scope, role_arn: str) -> dict[str, str]: ...


class FleetLogs(Protocol):
    """The part of `aws.cloudwatch.Logs` that hosting needs."""

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]: ...
    def flush(self) -> None: ...
    def metric(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        timestamp: float,
    ) -> None: ...


class FleetFailed(Exception):
    """The fleet cannot serve; the message is the endpoint's FailureReason."""


class Cancelled(Exception):
    """Somebody called `cancel` while the fleet started."""


@dataclass(frozen=True)
class Target:
    """Where one request goes."""

    variant: str
    instance: Instance
    client: HttpClient


class Fleet:
    """The instances of a plan. One thread, the owner, calls `start`, `watch` and then always `stop`; any thread may
    call `cancel`, which makes the first two end soon, and the routing methods."""

    def __init__(
        self,
        plan: FleetPlan,
        scope: Scope,
        runtime: Runtime,
        account: FleetAccount,
        logs: FleetLogs,
        clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.created = clock()
        self._scope, self._runtime, self._account, self._logs, self._clock = scope, runtime, account, logs, clock
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._draining = False
        self._served = dict.fromkeys((variant.name for variant in plan.variants), 0)
        self._turns = dict(self._served)
        self._instances: dict[str, list[Instance]] = {variant.name: [] for variant in plan.variants}

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Make the owner leave `start` or `watch`."""
        self._cancelled.set()

    def start(self) -> None:
        """Fetch the models, start every container and return when all are healthy.

        Raises FleetFailed, or Cancelled; both leave it to `stop` to clean up.
        """
        for variant in self.plan.variants:
            for one in variant.instances:
                (one.base_dir / "model").mkdir(parents=True)
            self._fetch(variant)
        for variant in self.plan.variants:
            for one in variant.instances:
                self._refuse_cancelled()
                instance = self._make(variant, one)
                self._instances[variant.name].append(instance)
                instance.start()
        while True:
            self._check_all()
            for name, instances in self._instances.items():
                for lost in filter(None, (instance.lost for instance in instances)):
                    raise FleetFailed(self._unhealthy(name, lost))
            if all(instance.client for instance in self._all()):
                return
            if self._cancelled.wait(STARTING_POLL_S):
                raise Cancelled

    def watch(self) -> None:
        """Keep the containers alive until `cancel`; raises FleetFailed when a variant has lost all its instances."""
        while not self._cancelled.wait(WATCH_POLL_S):
            self._check_all()
            for name, instances in self._instances.items():
                if all(instance.lost for instance in instances):
                    raise FleetFailed(self._unhealthy(name, instances[0].lost or ""))

    def stop(self, grace_s: float) -> None:
        """Stop every container, side by side, and delete the fleet's folder."""
        instances = self._all()
        with ThreadPoolExecutor(max(1, len(instances))) as pool:
            list(pool.map(lambda instance: instance.stop(grace_s), instances))
        shutil.rmtree(self.plan.folder, ignore_errors=True)

    def healthy(self, variant: str) -> int:
        """How many instances of a variant take requests."""
        return sum(instance.client is not None for instance in self._instances[variant])

    def hardware(self, variant: str) -> str:
        """One sentence: what the instances of a variant run on, or ran on last."""
        return sentence({instance.plan.id: instance.hardware for instance in self._instances[variant]})

    def choose_variant(self) -> str | None:
        """By the weights; None when all of them are 0."""
        with self._lock:
            name = next_variant({variant.name: variant.weight for variant in self.plan.variants}, self._served)
            if name is not None:
                self._served[name] += 1
            return name

    def drain(self) -> int:
        """Take no request from now on; how many are still being answered."""
        with self._lock:
            self._draining = True
            return sum(instance.outstanding for instance in self._all())

    @contextmanager
    def target(self, variant: VariantPlan, besides: set[str]) -> Iterator[Target | None]:
        """A healthy instance for one request, none of `besides` (instance ids); None when there is none."""
        with self._lock:
            instances = [] if self._draining else self._instances[variant.name]
            free = [(i, client) for i in instances if (client := i.client) and i.plan.id not in besides]
            turn, self._turns[variant.name] = self._turns[variant.name], self._turns[variant.name] + 1
            free = free[turn % len(free) :] + free[: turn % len(free)] if free else []
            if variant.least_outstanding:
                free.sort(key=lambda pair: pair[0].outstanding)
            chosen = Target(variant.name, free[0][0], free[0][1]) if free else None
            if chosen:
                chosen.instance.outstanding += 1
        try:
            yield chosen
        finally:
            with self._lock:
                if chosen:
                    chosen.instance.outstanding -= 1

    def _all(self) -> list[Instance]:
        return [instance for instances in self._instances.values() for instance in instances]

    def _check_all(self) -> None:
        for instance in self._all():
            if self.cancelled:
                return
            instance.check()

    def _refuse_cancelled(self) -> None:
        if self.cancelled:
            raise Cancelled

    def _make(self, variant: VariantPlan, plan: InstancePlan) -> Instance:
        def credentials() -> Mapping[str, str]:
            return self._account.role_environment(self._scope, variant.role_arn)

        log = self._logs.stream(self._scope, self.plan.log_group, plan.log_stream)
        return Instance(plan, self._runtime, credentials, log, self._clock)

    def _fetch(self, variant: VariantPlan) -> None:
        self._refuse_cancelled()
        if variant.source is None:
            return
        folders = [one.base_dir / "model" for one in variant.instances]
        try:
            fetch_model(self._account, self._scope, variant.source, folders, self.plan.folder, variant.max_model_bytes)
        except BadModelData as error:
            raise FleetFailed(str(error)) from error

    def _unhealthy(self, variant: str, reason: str) -> str:
        return (
            f"The primary container for production variant {variant} did not pass the ping health check: {reason}. "
            f"Please check CloudWatch logs for this endpoint: {self.plan.log_group}."
        )
