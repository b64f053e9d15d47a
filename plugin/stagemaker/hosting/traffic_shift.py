"""Brings a new fleet into service step by step, as its rollout says, and gives the requests back when that fails."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from stagemaker.core.refs import Ref
from stagemaker.hosting.context import EndpointAccount, FleetContext
from stagemaker.hosting.endpoint_fleets import EndpointFleets
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.rollout import Rollout, Step
from stagemaker.hosting.targets import Desired, Targets, sized
from stagemaker.hosting.variant_status import activating, baking, scaling, terminating

MAX_REASON_CHARS = 1024  # AWS's limit of FailureReason
POLL_S = 0.05  # (ours)
ALARMS_EVERY_S = 5.0  # (ours) during a bake; AWS documents no interval


class RolloutFailed(Exception):
    """An alarm or the time limit ends the rollout; the message is the endpoint's FailureReason."""


@dataclass(eq=False)
class TrafficShift:
    """Of one rollout, for the thread of the new fleet. `old` are the targets of the fleet in service, none where there
    is none, and `new` those that the new fleet is to reach. `lock` is the store's; `change` replaces the record of the
    endpoint (status, members)."""

    ref: Ref
    endpoint: EndpointFleets
    fleet: Fleet
    rollout: Rollout
    old: Targets
    new: Targets
    context: FleetContext
    account: EndpointAccount
    lock: AbstractContextManager[Any]
    change: Callable[..., None]

    def __post_init__(self) -> None:
        """The time limit begins."""
        self._former = self.endpoint.serving
        limit_s = self.rollout.limit_s
        self._due_s = None if limit_s is None else self.context.elapsed() + limit_s

    def run(self) -> bool:
        """Take every step; then the new fleet serves alone, and nothing of the old one is left. False when the new
        fleet was cancelled meanwhile. Raises FleetFailed or RolloutFailed."""
        for number, step in enumerate(self.rollout.steps):
            last = number == len(self.rollout.steps) - 1
            if not (self._grow(step, number) and self._bake(step) and (last or self._shrink(step))):
                return False
        return self._end_old()

    def back(self, reason: str) -> bool:
        """Give the requests back, and let the fleet in service become what it was; False when it cannot, so that both
        go on as they are. Raises nothing for a new fleet that does not serve any more."""
        with self.lock:
            endpoint = self.endpoint
            former = self._still_serving()
            if self.fleet.cancelled or former is None:
                return True
            share = endpoint.share if self.fleet.serves else 0.0
            endpoint.rolling_back = True
            endpoint.route(share)
            counts = former.counts
        return all(self._step_back(step, reason) for step in self.rollout.steps_back(counts, share))

    def _grow(self, step: Step, number: int) -> bool:
        """Start the step's instances, and give them its share once all of them are healthy."""
        fleet, new = self.fleet, sized(self.new, step.new)
        if number and new != sized(self.new, fleet.counts):
            with self.lock:
                fleet.stage = scaling(step.new, self.context.clock())
                serving = self.endpoint.serving
                self._retarget(serving.targets if serving else new, new)
        if not self._until(lambda: fleet.settled):
            return False
        with self.lock:
            if fleet.cancelled:
                return False
            fleet.stage = activating(step.capacity, step.active, self.context.clock())
            self.endpoint.route(step.share, step.active if step.share < 1 else None)
        return True

    def _bake(self, step: Step) -> bool:
        """Watch the alarms for as long as the step says, and at its end."""
        next_look_s = self.context.elapsed()
        end_s = next_look_s + step.bake_s
        if step.bake_s:
            now_s = self.context.clock()
            self.fleet.stage = baking(step.bake_s, step.bake_member, step.capacity, step.active, now_s)

        def is_over() -> bool:
            nonlocal next_look_s
            now_s = self.context.elapsed()
            if self.rollout.alarms and now_s >= min(next_look_s, end_s):
                next_look_s = now_s + ALARMS_EVERY_S
                self._look_at_alarms()
            return now_s >= end_s

        return self._until(is_over)

    def _look_at_alarms(self) -> None:
        if not self.endpoint.in_service:
            return  # there is nothing to go back to
        states = self.account.alarm_states(self.ref.scope, self.rollout.alarms)
        if tripped := [name for name in self.rollout.alarms if states.get(name) == "ALARM"]:
            raise RolloutFailed(f"One or more configured alarm(s) went into ALARM: {', '.join(tripped)}.")

    def _shrink(self, step: Step) -> bool:
        """End those instances of the old fleet that the step does not leave, once they have answered what they have."""
        with self.lock:
            serving = self._still_serving()
            if serving is None or not step.old:
                return not self.fleet.cancelled
            leaving = {name: count - step.old.get(name, count) for name, count in serving.counts.items()}
            serving.stage = terminating(leaving, self.context.clock())
            self._retarget(sized(self.old, step.old), sized(self.new, step.new))
        done = self._until(lambda: serving.settled or self.endpoint.serving is not serving)
        serving.stage = None
        return done

    def _end_old(self) -> bool:
        """End the fleets that were in service, once they have answered what they have, and wait for the end of all
        others: also of one that failed meanwhile."""
        with self.lock:
            if self.fleet.cancelled:
                return False
            self._due_s = None
            self.endpoint.replace()
            for each in self.endpoint.ending:
                each.stage = terminating(each.counts, self.context.clock())
                each.cancel(drain=True)
        return self._until(lambda: len(self.endpoint.fleets) == 1) and self._finish()

    def _finish(self) -> bool:
        """The new fleet is what the endpoint is."""
        with self.lock:
            if self.fleet.cancelled:
                return False
            self.endpoint.settle({self.fleet: 1.0})
            self.fleet.stage, self.fleet.beside = None, False
            self.change("InService", EndpointConfigName=self.fleet.layout.config, **Desired(self.new).members())
        return True

    def _step_back(self, step: Step, reason: str) -> bool:
        """Bring up the step's instances of the fleet in service; then move the requests, and end those of the new one
        that have none left."""
        with self.lock:
            serving = self._still_serving()
            if serving is None:
                return True  # there is nobody to bring back
            old = sized(self.old, step.old)
            counts = {name: target.count for name, target in old.items()}
            if serving.counts != counts:
                serving.stage = scaling(counts, self.context.clock())
                self._retarget(old, sized(self.new, self.fleet.counts))
        while not (serving.grown or self.endpoint.rollback_failure or self.endpoint.serving is not serving):
            if self.fleet.cancelled:
                return True
            self.fleet.wait(POLL_S)
        serving.stage = None
        with self.lock:
            if self.endpoint.serving is not serving:
                return True
            if self.endpoint.rollback_failure:
                self._stay_mixed(serving, reason)
                return False
            self.endpoint.route(step.share)
            if step.share:
                self._retarget(old, sized(self.new, step.new))
        return True

    def _stay_mixed(self, serving: Fleet, reason: str) -> None:
        """Both fleets serve on with what they have."""
        endpoint, fleet, share = self.endpoint, self.fleet, self.endpoint.share
        why = f"{reason} The rollback failed: {endpoint.rollback_failure}"[:MAX_REASON_CHARS]
        kept = {name: max(1, serving.in_service(name)) for name in self.old}
        endpoint.settle({**{each: part * (1 - share) for each, part in endpoint.in_service.items()}, fleet: share})
        fleet.stage, fleet.beside = None, False
        self.change("UpdateRollbackFailed", FailureReason=why, **Desired(sized(self.old, kept)).members())

    def _still_serving(self) -> Fleet | None:
        """The fleet that `old` is for, unless it was lost meanwhile."""
        return self._former if self.endpoint.serving is self._former else None

    def _retarget(self, old: Targets, new: Targets) -> None:
        """Put targets into the record, which the fleets follow."""
        self.change("Updating", **Desired(old, coming=new).members())

    def _until(self, is_so: Callable[[], bool]) -> bool:
        """Keep the new fleet at its targets until it is so; False when it is cancelled before. RolloutFailed when the
        time is up."""
        while not self.fleet.cancelled:
            self.fleet.reconcile()
            if is_so():
                return True
            if self._due_s is not None and self.context.elapsed() >= self._due_s and self.endpoint.in_service:
                raise RolloutFailed("The deployment took longer than MaximumExecutionTimeoutInSeconds.")
            self.fleet.wait(POLL_S)
        return False
