"""The loop of Application Auto Scaling: it looks at every scalable target, decides, and has its capacity changed."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from stagemaker.api.operation import OWN
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import SCALABLE_TARGET, SCALING_POLICY, SCHEDULED_ACTION
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.scaling.activities import Activities
from stagemaker.scaling.cloudwatch import CloudWatch
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.decision import Decision, LastScaling, ScalingState, Suspension, correct, decide
from stagemaker.scaling.resources import ScalableResource, resource_of
from stagemaker.scaling.scalables import Capacity, Scalable
from stagemaker.scaling.schedules import Rate, next_time, parse_schedule
from stagemaker.scaling.targets import belonging
from stagemaker.scaling.watch import AlarmWatch

LOG = logging.getLogger(__name__)
TICK_S = 1.0  # (ours) how often it looks
LOOK_S = 60  # (ours) how often it looks at a capacity that nothing changes, in AWS's seconds
RETRY_S = 60  # (ours) a change that was refused is tried again so many AWS seconds later
EVENT = "Application Auto Scaling Scaling Activity State Change"  # AWS sends it when MaxCapacity is reached


class Bus(Protocol):
    """The part of `aws.events.EventBus` that the loop needs."""

    def put(self, scope: Scope, source: str, detail_type: str, resource: str, detail: Mapping[str, Any]) -> None: ...


@dataclass
class _Progress:
    """What goes on with one target."""

    last: LastScaling | None = None
    activity: Ref | None = None  # the one that is InProgress
    former: int = 0  # the capacity before it
    wanted: int = 0  # the capacity that it sets
    refused_s: float = 0.0  # when a change was refused
    target: Record | None = None  # the target's record at the last look at its capacity
    looked_s: float = 0.0  # when that was, in AWS's seconds
    is_changing: bool = False  # what it was then

    def asks_for_a_look(self, target: Record, now_s: float) -> bool:
        """Whether the capacity may be another than it was, or must become another. To ask Lambda costs a call."""
        waits = self.activity is not None or self.is_changing
        return waits or target is not self.target or now_s >= self.looked_s + LOOK_S

    def note(self, target: Record, capacity: Capacity | None, now_s: float) -> None:
        """What a look has found."""
        self.target, self.looked_s = target, now_s
        self.is_changing = capacity is not None and capacity.changing


class Loop:
    """One task of the supervisor. `wake` and `discard_alarms` may be called from any thread."""

    def __init__(
        self,
        store: Store,
        scalables: Mapping[str, Scalable],
        activities: Activities,
        watch: AlarmWatch,
        cloudwatch: CloudWatch,
        bus: Bus,
        clock: Callable[[], float],
        compression: Compression,
    ) -> None:
        self._store, self._scalables, self._activities = store, scalables, activities
        self._watch, self._cloudwatch, self._bus = watch, cloudwatch, bus
        self._clock, self._compression = clock, compression
        self._progress: dict[Ref, _Progress] = {}
        self._runs: dict[Ref, tuple[Record, float | None]] = {}  # of each scheduled action: as it was, and its next run
        self._discarded: deque[tuple[Scope, list[str]]] = deque()
        self._changed, self._ended = threading.Event(), threading.Event()

    def start(self, supervisor: Supervisor) -> None:
        """Begin."""
        supervisor.start("scaling", self._run, cancel=self._end)

    def wake(self) -> None:
        """Look now."""
        self._changed.set()

    def discard_alarms(self, scope: Scope, names: list[str]) -> None:
        """Have alarms deleted soon."""
        self._discarded.append((scope, names))
        self.wake()

    def look(self) -> None:
        """Once at everything."""
        while self._discarded:
            scope, names = self._discarded.popleft()
            self._guard(f"the alarms {names}", partial(self._cloudwatch.delete, scope, names))
        targets = self._store.everywhere(SCALABLE_TARGET)
        for ref, record in targets:
            self._guard(record["ResourceId"], partial(self._look_at, ref, record))
        refs = {ref for ref, _ in targets}
        for ref in self._progress.keys() - refs:
            self._abandon(self._progress.pop(ref))
        actions = {ref for ref, _ in self._store.everywhere(SCHEDULED_ACTION)}
        self._runs = {ref: run for ref, run in self._runs.items() if ref in actions}
        self._watch.forget_others({ref.arn for ref, _ in self._store.everywhere(SCALING_POLICY)})

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._changed.wait(TICK_S if self._store.everywhere(SCALABLE_TARGET) else None)
            self._changed.clear()

    def _end(self) -> None:
        self._ended.set()
        self.wake()

    def _guard(self, what: str, call: Callable[[], object]) -> None:
        """One target must not stop the others."""
        if self._ended.is_set():
            return
        try:
            call()
        except Exception:
            if not self._ended.is_set():
                LOG.exception("scaling of %s", what)

    def _look_at(self, ref: Ref, record: Record) -> None:
        scope, resource = ref.scope, resource_of(record)
        progress = self._progress.setdefault(ref, _Progress())
        self._run_schedules(ref, resource)
        views, is_new = self._watch.views(scope, self._policies(scope, resource))
        target = self._store.get(ref)
        if target is None or not (is_new or progress.asks_for_a_look(target, self._now_aws_s())):
            return
        capacity = self._scalables[resource.dimension].capacity(scope, resource)
        progress.note(target, capacity, self._now_aws_s())
        self._follow(ref, resource, progress, capacity)
        if capacity is None or capacity.changing:
            return
        state = _state(target, capacity, progress)
        decision = correct(state)
        if decision.capacity is None and is_new:
            decision = decide(state, views, self._now_aws_s())
        if decision.capacity is not None:
            self._begin(ref, resource, progress, capacity, decision)
        elif decision.not_scaled:
            self._activities.not_scaled(scope, resource, decision.cause, decision.not_scaled)

    def _policies(self, scope: Scope, resource: ScalableResource) -> list[Record]:
        return [record for _, record in belonging(self._store, scope, SCALING_POLICY, resource)]

    def _begin(
        self, ref: Ref, resource: ScalableResource, progress: _Progress, capacity: Capacity, decision: Decision
    ) -> None:
        """Have the capacity changed."""
        now_s, wanted = self._clock(), decision.capacity or 0
        if now_s - progress.refused_s < self._compression.real_s(RETRY_S):
            return
        noun = resource.kind.noun
        activity = self._activities.begin(ref.scope, resource, f"Setting {noun} to {wanted}.", decision.cause)
        try:
            self._scalables[resource.dimension].set_desired(ref.scope, resource, wanted)
        except ApiError as error:
            progress.refused_s = now_s
            self._activities.end(activity, "Failed", _failed(resource, wanted, error.message))
            return
        progress.activity, progress.former, progress.wanted = activity, capacity.desired, wanted
        if decision.last is not None:
            progress.last = decision.last
        waiting = f"Waiting for change to be fulfilled by {resource.service}."
        self._activities.follow(activity, f"Successfully set {noun} to {wanted}. {waiting}")

    def _follow(self, ref: Ref, resource: ScalableResource, progress: _Progress, capacity: Capacity | None) -> None:
        """End the activity when its change has ended."""
        activity, wanted = progress.activity, progress.wanted
        if activity is None or (capacity is not None and capacity.changing):
            return
        progress.activity = None
        if capacity is None or capacity.failure or capacity.desired != wanted:
            reason = (capacity.failure if capacity else "") or "The resource was changed or deleted meanwhile."
            progress.last, progress.refused_s = None, self._clock()
            self._activities.end(activity, "Failed", _failed(resource, wanted, reason))
            return
        if progress.last is not None and progress.last.ended_s is None:
            progress.last = replace(progress.last, ended_s=self._now_aws_s())
        fulfilled = f"Change successfully fulfilled by {resource.service}."
        self._activities.end(activity, "Successful", f"Successfully set {resource.kind.noun} to {wanted}. {fulfilled}")
        self._tell_of_maximum(ref, resource, progress, activity)

    def _abandon(self, progress: _Progress) -> None:
        """End the activity of a target that is there no more."""
        if progress.activity is not None and (record := self._store.get(progress.activity)):
            reason = "The scalable target was deregistered meanwhile."
            message = _failed(resource_of(record), progress.wanted, reason)
            self._activities.end(progress.activity, "Failed", message)

    def _tell_of_maximum(self, ref: Ref, resource: ScalableResource, progress: _Progress, activity: Ref) -> None:
        target, done = self._store.get(ref), self._store.get(activity)
        if target is None or done is None or progress.wanted != target["MaxCapacity"]:
            return
        if progress.wanted <= progress.former:
            return
        detail = {
            "startTime": _iso(done["StartTime"]),
            "endTime": _iso(done["EndTime"]),
            "newDesiredCapacity": progress.wanted,
            "oldDesiredCapacity": progress.former,
            "minCapacity": target["MinCapacity"],
            "maxCapacity": target["MaxCapacity"],
            "resourceId": resource.id,
            "scalableDimension": resource.dimension,
            "serviceNamespace": resource.service,
            "statusCode": "Successful",
            "scaledToMax": True,
            "direction": "scale-out",
        }
        self._bus.put(ref.scope, "aws.application-autoscaling", EVENT, ref.arn, detail)

    def _run_schedules(self, ref: Ref, resource: ScalableResource) -> None:
        """Run each scheduled action of the target that was due since the last look."""
        now_s = self._clock()
        for found, action in belonging(self._store, ref.scope, SCHEDULED_ACTION, resource):
            known, due_s = self._runs.get(found, (None, None))
            if known != action:
                due_s = self._next_run(action, action[OWN]["LookedAt"])
            is_due = due_s is not None and due_s <= now_s
            self._runs[found] = (action, self._next_run(action, now_s) if is_due else due_s)
            if is_due:
                self._run_action(ref, resource, action)

    def _next_run(self, action: Record, after_s: float) -> float | None:
        """Of a scheduled action. A cron expression without a run left costs a search to its last year."""
        schedule = parse_schedule(action["Schedule"], action.get("Timezone", "UTC"))
        if isinstance(schedule, Rate):
            schedule = Rate(self._compression.real_s(schedule.period_s))
        return next_time(
            schedule,
            after_s,
            created_s=action["CreationTime"],
            start_s=action.get("StartTime"),
            end_s=action.get("EndTime"),
        )

    def _run_action(self, ref: Ref, resource: ScalableResource, action: Record) -> None:
        """Change the target's range, unless scheduled scaling is suspended."""
        changes = action["ScalableTargetAction"]
        with self._store.lock:
            target = self._store.get(ref)
            if target is None or target["SuspendedState"]["ScheduledScalingSuspended"]:
                return
            low, high = (changes.get(member, target[member]) for member in ("MinCapacity", "MaxCapacity"))
            if low <= high:
                self._store.update(ref, MinCapacity=low, MaxCapacity=high)
        words = {"MinCapacity": "min capacity", "MaxCapacity": "max capacity"}
        what = " and ".join(f"{word} to {changes[member]}" for member, word in words.items() if member in changes)
        cause = f"scheduled action name {action['ScheduledActionName']} was triggered"
        activity = self._activities.begin(ref.scope, resource, f"Setting {what}", cause)
        if low <= high:
            self._activities.end(activity, "Successful", f"Successfully set {what}")
        else:
            reason = "Maximum capacity cannot be less than minimum capacity."
            self._activities.end(activity, "Failed", f"Failed to set {what}. Reason: {reason}")

    def _now_aws_s(self) -> float:
        return self._compression.aws_s(self._clock())


def _state(target: Mapping[str, Any], capacity: Capacity, progress: _Progress) -> ScalingState:
    suspended = target["SuspendedState"]
    return ScalingState(
        capacity.desired,
        target["MinCapacity"],
        target["MaxCapacity"],
        Suspension(
            suspended["DynamicScalingInSuspended"],
            suspended["DynamicScalingOutSuspended"],
            suspended["ScheduledScalingSuspended"],
        ),
        progress.last,
    )


def _failed(resource: ScalableResource, wanted: int, reason: str) -> str:
    return f"Failed to set {resource.kind.noun} to {wanted}. Reason: {reason}"


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
