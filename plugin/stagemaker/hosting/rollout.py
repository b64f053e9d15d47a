"""Pure: how the requests of an endpoint move from the fleet that serves to a new one, and back if need be.

AWS source: DeploymentConfig of the API reference, and "Deployment guardrails" of the developer guide. A size in percent
is a share of the requests as it stands, on at least one instance, so that a canary can be rehearsed with one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.hosting.variant_status import Counts

WAIT, TERMINATION_WAIT = "WaitIntervalInSeconds", "TerminationWaitInSeconds"
CANARY_PERCENT, LINEAR_PERCENT, ROLLING_PERCENT, ROLLBACK_PERCENT = (1, 50), (10, 50), (5, 50), (1, 100)  # AWS's
SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}  # by the type of traffic routing that needs it


@dataclass(frozen=True)
class Step:
    """The new fleet has `new` instances and gets `share` of the requests, on `active` of them; that is watched for
    `bake_s` seconds, and then the old fleet has `old` instances. A variant that is not named has all of its instances.

    On the way back the order is: the old fleet has `old` instances, the new one gets `share` and has `new`."""

    share: float
    capacity: str = "full"  # what AWS's messages call the active instances
    bake_s: float = 0.0
    bake_member: str = TERMINATION_WAIT  # which says how long
    new: Counts = field(default_factory=dict)
    active: Counts = field(default_factory=dict)
    old: Counts = field(default_factory=dict)


@dataclass(frozen=True)
class Size:
    """CapacitySize: so many instances of a variant, or so many percent of them."""

    value: int
    in_percent: bool

    @classmethod
    def of(cls, capacity_size: Mapping[str, Any]) -> "Size":
        """As a request has it."""
        return cls(capacity_size["Value"], capacity_size["Type"] == "CAPACITY_PERCENT")

    def batch(self, count: int) -> int:
        """Of `count` instances; at least 1."""
        return max(1, count * self.value // 100) if self.in_percent else min(count, self.value)

    def share(self, counts: Counts) -> float:
        """Of the requests of a fleet with `counts` instances."""
        if self.in_percent:
            return self.value / 100
        return sum(self.batch(count) for count in counts.values()) / sum(counts.values())


@dataclass(frozen=True)
class Rollout:
    """The last step's share is 1. `old` and `new` are the instances that the fleets have at their fullest.

    An alarm of `alarms` (names), or `limit_s` seconds, end it with a rollback."""

    steps: tuple[Step, ...]
    old: Counts = field(default_factory=dict)
    new: Counts = field(default_factory=dict)
    alarms: tuple[str, ...] = ()
    limit_s: float | None = None
    rollback_batch: Size | None = None  # None: the old fleet is whole all the time

    def steps_back(self, old: Counts, share: float) -> tuple[Step, ...]:
        """From where the old fleet has `old` instances, and the new one `share` of the requests. Without bakes (ours:
        AWS documents none)."""
        back: list[Step] = []
        if self.rollback_batch is not None:
            has = {name: old.get(name, count) for name, count in self.old.items()}
            while has != self.old:
                has = {
                    name: min(whole, has[name] + self.rollback_batch.batch(whole)) for name, whole in self.old.items()
                }
                left = min(share, 1 - sum(has.values()) / sum(self.old.values()))
                new = {name: _up(count * left) for name, count in self.new.items()}
                back.append(Step(left, new=new, old=has))
        return (*back[:-1], Step(0.0))


ALL_AT_ONCE = Rollout((Step(1.0),))


def plan_rollout(config: Mapping[str, Any], old: Counts, new: Counts) -> Rollout:
    """What `config`, a DeploymentConfig, makes of a change from `old` instances to `new` ones, of production variants.

    ValidationException for what AWS excludes in sentences: two policies, a size outside its limits, a size that its
    type does not have, and a time limit that is not longer than all waits together. A fleet that is to have no instance
    (asynchronous inference) takes over at once.
    """
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise validation_error("DeploymentConfig has BlueGreenUpdatePolicy and RollingUpdatePolicy: give one of them.")
    names = [alarm.get("AlarmName") for alarm in config.get("AutoRollbackConfiguration", {}).get("Alarms", ())]
    if None in names:
        raise validation_error("An alarm of AutoRollbackConfiguration has no AlarmName.")
    rollout = Rollout(ALL_AT_ONCE.steps, old, new, alarms=tuple(filter(None, names)))
    if blue_green and any(new.values()):
        rollout = replace(rollout, steps=_blue_green(blue_green, new))
    if rolling and any(new.values()):
        size = _checked(rolling["MaximumBatchSize"], "MaximumBatchSize", ROLLING_PERCENT, new)
        given_back = rolling.get("RollbackMaximumBatchSize", {"Type": "CAPACITY_PERCENT", "Value": 100})
        back = _checked(given_back, "RollbackMaximumBatchSize", ROLLBACK_PERCENT, old)
        rollout = replace(rollout, steps=_rolling(size, rolling[WAIT], old, new), rollback_batch=back)
    limit_s = (blue_green or rolling or {}).get("MaximumExecutionTimeoutInSeconds")
    waits_s = sum(step.bake_s for step in rollout.steps)
    if limit_s is not None and waits_s >= limit_s:
        raise validation_error(
            f"MaximumExecutionTimeoutInSeconds, {limit_s}, must be larger than all waits of the deployment together, "
            f"which are {waits_s:.0f} s."
        )
    return replace(rollout, limit_s=limit_s)


def _blue_green(policy: Mapping[str, Any], new: Counts) -> tuple[Step, ...]:
    routing = policy["TrafficRoutingConfiguration"]
    kind, wait_s = routing["Type"], routing[WAIT]
    for other, member in SIZES.items():
        if (member in routing) != (other == kind):
            why = f"needs {member}" if other == kind else f"does not take {member}"
            raise validation_error(f"A TrafficRoutingConfiguration of the type {kind} {why}.")
    last = Step(1.0, bake_s=policy.get(TERMINATION_WAIT, 0), active=new)
    if kind == "ALL_AT_ONCE":
        return (last,)
    limits = CANARY_PERCENT if kind == "CANARY" else LINEAR_PERCENT
    share = _checked(routing[SIZES[kind]], SIZES[kind], limits, new).share(new)
    shares = [share]
    while kind == "LINEAR" and len(shares) + 1 < _up(1 / share):
        shares.append(share * (len(shares) + 1))
    return (*(_part(share, kind.lower(), wait_s, new) for share in shares), last)


def _part(share: float, capacity: str, wait_s: float, new: Counts) -> Step:
    active = {name: _up(count * share) for name, count in new.items()}
    return Step(share, capacity, wait_s, WAIT, active=active)


def _rolling(size: Size, wait_s: float, old: Counts, new: Counts) -> tuple[Step, ...]:
    """The new fleet grows by batches; the old one keeps what the share that is left to it needs, at least one."""
    steps: list[Step] = []
    has = dict.fromkeys(new, 0)
    while has != new:
        has = {name: min(whole, has[name] + size.batch(whole)) for name, whole in new.items()}
        share = sum(has.values()) / sum(new.values())
        left = {name: _up(count * (1 - share)) for name, count in old.items()}
        steps.append(Step(share, "rolling", wait_s, WAIT, new=has, active=has, old=left))
    return tuple(steps)


def _checked(capacity_size: Mapping[str, Any], member: str, percent: tuple[int, int], counts: Counts) -> Size:
    """ValidationException unless the size lies within `percent` of the instances of every variant."""
    size, (least, most) = Size.of(capacity_size), percent
    if size.in_percent:
        if not least <= size.value <= most:
            raise _outside(member, percent, f"{size.value} %")
        return size
    for name, count in counts.items():
        if count and not least * count <= 100 * size.value <= most * count:
            raise _outside(member, percent, f"{size.value} of the {count} of {name}")
    return size


def _up(value: float) -> int:
    """The next whole number; an error of floating point makes no difference."""
    return math.ceil(round(value, 6))


def _outside(member: str, percent: tuple[int, int], given: str) -> ApiError:
    least, most = percent
    limits = f"at most {most} %" if least == 1 else f"{least} to {most} %"
    return validation_error(f"{member} must be {limits} of the instances of each production variant, not {given}.")
