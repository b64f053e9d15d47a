"""An endpoint under a load, without an endpoint: what the scaling policies would make of a curve of arrivals. Pure.

It asks the same `decide` as the running stage, so that a rehearsal of an hour takes milliseconds, and so that tests
can hold the decisions against numbers computed by hand.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from stagemaker.scaling.alarm_rules import Alarm, AlarmState, alarm_state, evaluated
from stagemaker.scaling.decision import (
    Decision,
    NotScaledReason,
    PolicyView,
    ScalingState,
    StepView,
    TrackingView,
    decide,
)
from stagemaker.scaling.steps import StepScaling
from stagemaker.scaling.tracking import MINUTE_S, TargetTracking, high_alarm, low_alarm


@dataclass(frozen=True)
class StepPolicy:
    """A step scaling policy and the alarm on InvocationsPerInstance that triggers it."""

    scaling: StepScaling
    alarm: Alarm


Policy = TargetTracking | StepPolicy


@dataclass(frozen=True)
class SimulatedVariant:
    """A variant with its scalable target. One instance is enough for `per_instance` requests a minute. The policies
    are asked `lag_s` after the end of each minute; from then on a new instance takes `start_s` until it serves, and one
    that goes serves for another `stop_s`."""

    per_instance: float
    instances: int = 1
    minimum: int = 1
    maximum: int = 4
    start_s: float = 60.0
    stop_s: float = 0.0
    lag_s: float = 0.0


@dataclass(frozen=True)
class Period:
    """One minute. `metric` is InvocationsPerInstance, Sum; None where no instance served. `instances` serve at its
    end, before what is decided then. `alarms` has the states of each policy's alarms: high and low, or the one."""

    end_s: float
    requests: float
    metric: float | None
    instances: int
    alarms: tuple[tuple[AlarmState, ...], ...]


@dataclass(frozen=True)
class Activity:
    """A change of capacity, or with `not_scaled` an alarm that led to none."""

    start_s: float
    end_s: float
    before: int
    capacity: int
    cause: str
    not_scaled: tuple[NotScaledReason, ...] = ()


@dataclass(frozen=True)
class Simulation:
    """What happened. Instance-seconds are held against the ideal, ceil(requests a minute / per_instance)."""

    periods: tuple[Period, ...]
    activities: tuple[Activity, ...]
    under_instance_s: float
    over_instance_s: float

    @property
    def scalings(self) -> list[tuple[float, int]]:
        """When the capacity changed, in seconds, and to what."""
        return [(one.start_s, one.capacity) for one in self.activities if not one.not_scaled]


def simulate(requests: Sequence[float], variant: SimulatedVariant, policies: Sequence[Policy]) -> Simulation:
    """The run of one variant. `requests` has the number that arrive in each minute, evenly. While a change goes on
    nothing is decided, as AWS refuses a change of an endpoint that is Updating. All times count from the beginning."""
    state = ScalingState(variant.instances, variant.minimum, variant.maximum)
    serving = [(0.0, variant.instances)]  # from when on, how many
    points: list[float | None] = []
    periods, activities = [], []
    for number, count in enumerate(requests, start=1):
        end_s = float(number * MINUTE_S)
        points.append(_invocations_per_instance(count, _pieces(serving, end_s - MINUTE_S, end_s)))
        views = [_view(str(place), policy, points) for place, policy in enumerate(policies)]
        alarms = tuple(map(_states, views))
        periods.append(Period(end_s, count, points[-1], _serving_at(serving, end_s), alarms))
        now_s = end_s + variant.lag_s
        if state.last is not None and state.last.ended_s is not None and now_s < state.last.ended_s:
            continue
        decision = decide(state, views, now_s)
        if decision.cause:
            activities.append(_activity(decision, state, variant, now_s))
        if decision.capacity is not None and decision.last is not None:
            ended_s = activities[-1].end_s
            serving.append((ended_s, decision.capacity))
            state = replace(state, capacity=decision.capacity, last=replace(decision.last, ended_s=ended_s))
    under_s, over_s = _against_ideal(requests, serving, variant.per_instance)
    return Simulation(tuple(periods), tuple(activities), under_s, over_s)


def _activity(decision: Decision, state: ScalingState, variant: SimulatedVariant, now_s: float) -> Activity:
    if decision.capacity is None:
        return Activity(now_s, now_s, state.capacity, state.capacity, decision.cause, decision.not_scaled)
    takes_s = variant.start_s if decision.capacity > state.capacity else variant.stop_s
    return Activity(now_s, now_s + takes_s, state.capacity, decision.capacity, decision.cause)


def _view(name: str, policy: Policy, points: Sequence[float | None]) -> PolicyView:
    if isinstance(policy, TargetTracking):
        high, low = alarm_state(points, high_alarm(policy)), alarm_state(points, low_alarm(policy))
        return TrackingView(name, policy, f"{name}-AlarmHigh", high, f"{name}-AlarmLow", low, points)
    alarm = policy.alarm
    values = evaluated(points, alarm)
    return StepView(
        name,
        policy.scaling,
        f"{name}-Alarm",
        alarm_state(points, alarm),
        values[-1] if values else None,
        alarm.threshold,
        alarm.comparison,
    )


def _states(view: PolicyView) -> tuple[AlarmState, ...]:
    return (view.high_state, view.low_state) if isinstance(view, TrackingView) else (view.alarm_state,)


def _serving_at(serving: Sequence[tuple[float, int]], moment_s: float) -> int:
    return next(instances for since_s, instances in reversed(serving) if since_s <= moment_s)


def _pieces(serving: Sequence[tuple[float, int]], begin_s: float, end_s: float) -> list[tuple[float, int]]:
    """The pieces of a time in which the number of instances is the same: (seconds, instances)."""
    cuts = [begin_s, *(since_s for since_s, _ in serving if begin_s < since_s < end_s), end_s]
    return [(after_s - before_s, _serving_at(serving, before_s)) for before_s, after_s in pairwise(cuts)]


def _invocations_per_instance(count: float, pieces: Sequence[tuple[float, int]]) -> float | None:
    """SageMaker sends 1/instances for each request, and zeros for an endpoint without requests."""
    served = [count * seconds / MINUTE_S / instances for seconds, instances in pieces if instances]
    return sum(served) if served else None


def _against_ideal(
    requests: Sequence[float], serving: Sequence[tuple[float, int]], per_instance: float
) -> tuple[float, float]:
    """The instance-seconds that were missing, and those that were too many."""
    under_s = over_s = 0.0
    for number, count in enumerate(requests):
        ideal = math.ceil(count / per_instance)
        for seconds, instances in _pieces(serving, float(number * MINUTE_S), float((number + 1) * MINUTE_S)):
            under_s += seconds * max(ideal - instances, 0)
            over_s += seconds * max(instances - ideal, 0)
    return under_s, over_s
