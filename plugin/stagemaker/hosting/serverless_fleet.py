"""The containers of a serverless variant: as many as there are requests at once, and none after a while without any."""

import os
from collections.abc import Sequence

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.hosting.context import FleetContext
from stagemaker.hosting.endpoint_metrics import EndpointMetrics
from stagemaker.hosting.fleet import Fleet, FleetFailed
from stagemaker.hosting.instance import Instance
from stagemaker.hosting.layout import FleetLayout
from stagemaker.hosting.serverless import Known, Limits, plan_containers
from stagemaker.hosting.serverless_metrics import SETUP_TIME, Values, concurrency, invocation
from stagemaker.hosting.serverless_queue import ServerlessQueue
from stagemaker.hosting.targets import Targets
from stagemaker.hosting.variant_status import Counts

STARTS_AT_ONCE = 2 * (os.cpu_count() or 1)  # (ours)
AGAIN_S = 2.0  # (ours) after the loss of a container, before one that is to be there always is started again


class ServerlessFleet(Fleet):
    """Of one serverless variant. The first container is started before any request, as a test of the image: a fleet
    that cannot start it has failed. One that ends later is just gone; one that cannot be started later fails the
    request that it was for."""

    def __init__(self, layout: FleetLayout, targets: Targets, scope: Scope, context: FleetContext) -> None:
        (self._variant,) = layout.variants
        name = self._variant.name
        self._queue = ServerlessQueue(name, lambda: self.instances(name), lambda: self._changed.set(), self._begin)
        self._works = False  # a container has been healthy once
        self._reached: Targets = {}  # the last targets that it was settled with
        self._again_s = 0.0
        self._starts_s: dict[Instance, float] = {}  # when each began that has not served yet
        self._metrics = EndpointMetrics(context.logs, context.clock)
        super().__init__(layout, targets, scope, context)
        self.queue = self._queue

    @property
    def settled(self) -> bool:
        """Whether the image works, and all containers are there that are to be there always."""
        return self._works and self.in_service(self._variant.name) >= self._count

    def in_service(self, variant: str) -> int:
        """How many containers are there, those included that have a request."""
        return sum(each.has_served and each.lost is None for each in self._instances[variant])

    @property
    def grown(self) -> bool:
        """The same: there are no others to wait for."""
        return self.settled

    @property
    def serves(self) -> bool:
        """Whether the image works: a container is started when a request comes."""
        return self._works

    @property
    def launched(self) -> Counts:
        """One at least, for the test."""
        return {self._variant.name: max(1, self._count)}

    @property
    def serverless_metrics(self) -> Values:
        """Of its concurrency now."""
        return concurrency(self._queue.running, self._queue.max_concurrency, self._count)

    @property
    def _count(self) -> int:
        return self._targets[self._variant.name].count

    def set_targets(self, targets: Targets) -> None:
        """As every fleet's; MaxConcurrency counts at once."""
        self._queue.max_concurrency = targets[self._variant.name].max_concurrency or 1
        super().set_targets(targets)

    def cancel(self, *, drain: bool = False) -> None:
        """As every fleet's; requests that wait for a container are let go."""
        super().cancel(drain=drain)
        self._queue.close()

    def stop(self) -> None:
        """As every fleet's."""
        self._queue.close()
        super().stop()

    def reconcile(self) -> None:
        """Start containers for the requests that wait and those that are to be there always; end those that have had no
        request for a while.

        Raises FleetFailed when there is no image, and when a container cannot be started before the fleet was what
        its targets say."""
        self._prepare()
        name, targets = self._variant.name, self._targets
        self._note_started()
        self._drop_lost()
        self._end_given_up()
        if self.settled and targets is self._targets:
            self._reached = targets
        kept, now_s = max(self._count, 0 if self._works else 1), self._context.elapsed()
        limits = Limits(kept, self._queue.max_concurrency, self._context.keep_warm_s, STARTS_AT_ONCE)
        known = [Known(each.id, not each.has_served, each.idle_s) for each in self._instances[name]]
        plan = plan_containers(known, self._queue.waiting, limits)
        self._let_go([each for each in self._instances[name] if each.id in plan.retire])
        if plan.start and (self._queue.waiting or now_s >= self._again_s):
            self._start(plan.start)

    def _instance_changed(self) -> None:
        """It may have become free."""
        self._queue.hand_out()
        super()._instance_changed()

    def _start(self, count: int) -> None:
        there = self._instances[self._variant.name]
        try:
            self._add(self._variant, there, count)
        except (FleetFailed, ApiError) as error:
            for _ in range(count):
                self._fail(error.message if isinstance(error, ApiError) else str(error))
        now_s = self._context.elapsed()
        self._starts_s |= {each: now_s for each in self._instances[self._variant.name] if each not in there}

    def _note_started(self) -> None:
        for instance in [each for each in self._starts_s if each.has_served]:
            self._works = True
            seconds = {SETUP_TIME: self._context.elapsed() - self._starts_s.pop(instance)}
            self._metrics.times(self._scope, self, self._variant, seconds)

    def _drop_lost(self) -> None:
        name = self._variant.name
        lost = [each for each in self._instances[name] if each.lost is not None]
        self._let_go(lost)
        for instance in lost:
            self._again_s = self._context.elapsed() + AGAIN_S
            if self._starts_s.pop(instance, None) is not None:
                self._fail(self._unhealthy(name, instance.lost or ""))

    def _end_given_up(self) -> None:
        """End containers that gave no answer, as a dead or a stuck one would give none to the next request either."""
        given_up = self._queue.given_up
        self._let_go([each for each in self._instances[self._variant.name] if each.id in given_up])
        self._queue.forget(given_up)

    def _let_go(self, instances: Sequence[Instance]) -> None:
        name = self._variant.name
        self._instances[name] = tuple(each for each in self._instances[name] if each not in instances)
        self._retired += tuple(instances)
        for instance in instances:
            self._retire(instance, drain=True)

    def _fail(self, reason: str) -> None:
        """A container could not be started."""
        self._again_s = self._context.elapsed() + AGAIN_S
        if self._reached != self._targets:
            raise FleetFailed(reason)
        self._queue.fail_first(reason)

    def _begin(self, running: int) -> None:
        most = self._queue.max_concurrency
        for values in (concurrency(running, most, self._count), invocation(running, self._count)):
            for unit, of_unit in values.items():
                self._metrics.of_variant(self._scope, self, self._variant, of_unit, unit)
