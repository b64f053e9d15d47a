"""What the policies of a scalable target together decide. Pure.

AWS source: "Target tracking scaling policies", "Step scaling policies", "Suspend and resume scaling" and "Scaling
activities" in the user guide of Application Auto Scaling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stagemaker.scaling.alarm_rules import AlarmState, Comparison, evaluated
from stagemaker.scaling.steps import StepScaling, adjusted_capacity, step_for
from stagemaker.scaling.tracking import TargetTracking, desired_capacity, high_alarm, low_alarm

NOT_SCALED = "Attempting to scale due to alarm triggered"  # AWS's Description of an activity that scales nothing


@dataclass(frozen=True)
class Suspension:
    """SuspendedState."""

    scaling_in: bool = False
    scaling_out: bool = False
    scheduled: bool = False


@dataclass(frozen=True)
class LastScaling:
    """The last change of capacity that a policy made. `base` is the capacity that a further scale-out counts from
    while the cooldown lasts: what this one added is part of the next. `ended_s` is None while it goes on."""

    base: int
    capacity: int
    cooldown_s: float
    ended_s: float | None = None

    @property
    def is_out(self) -> bool:
        """Whether it added capacity."""
        return self.capacity > self.base

    def lasts(self, now_s: float) -> bool:
        """Whether the change goes on, or its cooldown does."""
        return self.ended_s is None or now_s < self.ended_s + self.cooldown_s


@dataclass(frozen=True)
class ScalingState:
    """A scalable target at one moment. `capacity` is what it should have, as the service knows it."""

    capacity: int
    minimum: int
    maximum: int
    suspended: Suspension = Suspension()
    last: LastScaling | None = None


@dataclass(frozen=True)
class TrackingView:
    """A target tracking policy with its alarms' states. `points` are the metric's, one entry for each period, the
    oldest first, None for a period without data."""

    policy: str
    tracking: TargetTracking
    high_name: str
    high_state: AlarmState
    low_name: str
    low_state: AlarmState
    points: Sequence[float | None] = ()


@dataclass(frozen=True)
class StepView:
    """A step scaling policy with one alarm that has it as its action. `metric` is the value that the alarm compared."""

    policy: str
    scaling: StepScaling
    alarm_name: str
    alarm_state: AlarmState
    metric: float | None
    threshold: float
    comparison: Comparison


PolicyView = TrackingView | StepView


@dataclass(frozen=True)
class NotScaledReason:
    """One of an activity's NotScaledReasons: its code and the one capacity that it names."""

    code: str
    member: str
    capacity: int

    def described(self) -> dict[str, str | int]:
        """As DescribeScalingActivities shows it."""
        return {"Code": self.code, self.member: self.capacity}


@dataclass(frozen=True)
class Decision:
    """What to do. `capacity` is None where nothing changes; then `not_scaled` may say why an alarm led to nothing.
    `cause` is AWS's sentence; without it nothing happened, and no activity is recorded. `last` is what
    ScalingState.last becomes, once the caller has done it (it adds `ended_s` at the end); None where a change of the
    bounds starts no cooldown."""

    capacity: int | None = None
    cause: str = ""
    not_scaled: tuple[NotScaledReason, ...] = ()
    last: LastScaling | None = None


NOTHING = Decision()


@dataclass(frozen=True)
class _Wish:
    """The capacity that one policy wants, before the bounds. `held` is the reason to give where that is the capacity
    that is there already."""

    policy: str
    alarm: str
    capacity: int
    cooldown_s: float
    held: str
    is_low: bool = False

    @property
    def cause(self) -> str:
        return f"monitor alarm {self.alarm} in state ALARM triggered policy {self.policy}"


def decide(state: ScalingState, views: Sequence[PolicyView], now_s: float) -> Decision:
    """The change of capacity that the policies lead to at `now_s`. A scale-out wins over a scale-in; of several the
    largest capacity wins; scale-in needs every target tracking policy that may scale in to be ready for it.

    While a scale-out or its cooldown lasts, a further one counts from the capacity before it, so that only a larger
    need acts: +3 after +2 adds 1. A scale-in waits out the cooldown of a scale-in; a scale-out does not.
    """
    last = state.last if state.last is not None and state.last.lasts(now_s) else None
    base = min(last.base, state.capacity) if last is not None and last.is_out else state.capacity
    wishes = [wish for view in views if (wish := _wish(view, state.capacity, base)) is not None]
    wish = max(wishes, key=lambda wish: wish.capacity, default=None)
    if wish is None:
        return NOTHING
    if wish.capacity > state.capacity:
        return _scale_out(state, wish, base)
    if wish.capacity == state.capacity and not wish.is_low:
        return NOTHING if last is not None else _not_scaled(wish, wish.held, "CurrentCapacity", state.capacity)
    if not _all_ready_to_scale_in(views):
        return NOTHING
    return _scale_in(state, wish, last)


def _wish(view: PolicyView, capacity: int, base: int) -> _Wish | None:
    """What a policy in alarm wants; None for one that is not, or that has no value."""
    if isinstance(view, StepView):
        return _step_wish(view, capacity, base)
    return _tracking_wish(view, capacity, base)


def _step_wish(view: StepView, capacity: int, base: int) -> _Wish | None:
    if view.alarm_state is not AlarmState.ALARM or view.metric is None:
        return None
    step = step_for(view.scaling, view.metric, view.threshold, view.comparison)
    if step is None:
        return None
    wanted = adjusted_capacity(view.scaling, step, capacity)
    if wanted > capacity:
        wanted = max(adjusted_capacity(view.scaling, step, base), capacity)
    return _Wish(view.policy, view.alarm_name, wanted, view.scaling.cooldown_s, "AlreadyAtDesiredCapacity")


def _tracking_wish(view: TrackingView, capacity: int, base: int) -> _Wish | None:
    """For a scale-out the newest point counts, for a scale-in the largest of those that the alarm compared, so that
    one idle period takes no instance away (ours)."""
    tracking = view.tracking
    if view.high_state is AlarmState.ALARM and (values := evaluated(view.points, high_alarm(tracking))):
        wanted = max(desired_capacity(base, values[-1], tracking), capacity)
        return _Wish(view.policy, view.high_name, wanted, tracking.scale_out_cooldown_s, "AlreadyAtDesiredCapacity")
    if view.low_state is not AlarmState.ALARM or tracking.disable_scale_in:
        return None
    if not (values := evaluated(view.points, low_alarm(tracking))):
        return None
    wanted = min(desired_capacity(capacity, max(values), tracking), capacity)
    return _Wish(
        view.policy,
        view.low_name,
        wanted,
        tracking.scale_in_cooldown_s,
        "AutoScalingAnticipatedFlapping",
        is_low=True,
    )


def _all_ready_to_scale_in(views: Sequence[PolicyView]) -> bool:
    return all(
        view.low_state is AlarmState.ALARM
        for view in views
        if isinstance(view, TrackingView) and not view.tracking.disable_scale_in
    )


def _scale_out(state: ScalingState, wish: _Wish, base: int) -> Decision:
    if state.suspended.scaling_out:
        return NOTHING
    if state.capacity >= state.maximum:
        return _not_scaled(wish, "AlreadyAtMaxCapacity", "MaxCapacity", state.maximum)
    return _scaled(state, wish, base)


def _scale_in(state: ScalingState, wish: _Wish, last: LastScaling | None) -> Decision:
    if state.suspended.scaling_in:
        return NOTHING
    if state.capacity <= state.minimum:
        return _not_scaled(wish, "AlreadyAtMinCapacity", "MinCapacity", state.minimum)
    if wish.capacity == state.capacity:
        return _not_scaled(wish, wish.held, "CurrentCapacity", state.capacity)
    if last is not None and (not last.is_out or last.ended_s is None):
        return NOTHING
    return _scaled(state, wish, state.capacity)


def _scaled(state: ScalingState, wish: _Wish, base: int) -> Decision:
    capacity = max(state.minimum, min(wish.capacity, state.maximum))
    return Decision(capacity, wish.cause, last=LastScaling(base, capacity, wish.cooldown_s))


def _not_scaled(wish: _Wish, code: str, member: str, capacity: int) -> Decision:
    return Decision(None, wish.cause, (NotScaledReason(code, member, capacity),))


def correct(state: ScalingState) -> Decision:
    """The change that brings a capacity outside the bounds back into them, at once and whatever cooldown there is:
    after RegisterScalableTarget or a scheduled action changed the bounds."""
    if state.capacity < state.minimum:
        return Decision(state.minimum, f"minimum capacity was set to {state.minimum}")
    if state.capacity > state.maximum:
        return Decision(state.maximum, f"maximum capacity was set to {state.maximum}")
    return NOTHING
