"""The alarms of a target's policies: their points, their states, and CloudWatch told of each change of a state."""

from collections.abc import Callable, Iterator
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record
from stagemaker.scaling.alarm_rules import Alarm, AlarmState, Comparison, alarm_state, evaluated
from stagemaker.scaling.cloudwatch import CloudWatch
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.decision import PolicyView, StepView, TrackingView
from stagemaker.scaling.metrics import CONFIG, rules_of_alarm, target_tracking, tracking_alarms
from stagemaker.scaling.policies import STEP_CONFIG, TRACKING, actions
from stagemaker.scaling.resources import ScalableResource
from stagemaker.scaling.series import Series
from stagemaker.scaling.steps import step_scaling
from stagemaker.scaling.tracking import high_alarm, low_alarm

LOOK_S = 10  # (ours) the alarms of callers are read so often, in AWS's seconds


class AlarmWatch:
    """Evaluates the alarms of policies: LocalStack's own scheduler leaves them alone. For one thread."""

    def __init__(
        self, cloudwatch: CloudWatch, series: Series, clock: Callable[[], float], compression: Compression
    ) -> None:
        self._cloudwatch, self._series, self._clock, self._compression = cloudwatch, series, clock, compression
        self._states: dict[tuple[str, str, float], AlarmState] = {}  # that CloudWatch was told of our alarms
        self._ends: dict[tuple[str, str], int] = {}  # of the newest period that was looked at, by policy and alarm
        self._callers: dict[Scope, tuple[float, list[dict[str, Any]]]] = {}  # when they were read, and the alarms

    def views(self, scope: Scope, policies: list[Record]) -> tuple[list[PolicyView], bool]:
        """Of the policies of one target, and whether any alarm has a new point since the last call. ApiError when
        CloudWatch does not answer."""
        views: list[PolicyView] = []
        is_new = False
        for policy in policies:
            found = self._tracking(scope, policy) if policy["PolicyType"] == TRACKING else self._steps(scope, policy)
            for view, new in found:
                views.append(view)
                is_new = is_new or new
        return views, is_new

    def forget_others(self, policy_arns: set[str]) -> None:
        """Drop what is known of policies that are there no more, and data that nobody has looked at since the last
        call."""
        self._series.forget_unused()
        self._states = {key: state for key, state in self._states.items() if key[0] in policy_arns}
        self._ends = {key: end_s for key, end_s in self._ends.items() if key[0] in policy_arns}

    def _tracking(self, scope: Scope, policy: Record) -> Iterator[tuple[PolicyView, bool]]:
        resource = ScalableResource(policy["ServiceNamespace"], policy["ResourceId"], policy["ScalableDimension"])
        tracking, metric = target_tracking(resource, policy[CONFIG])
        low = low_alarm(tracking)
        points, end_s = self._series.last(scope, metric, tracking.period_s, low.window)
        names = [alarm["AlarmName"] for alarm in policy["Alarms"]]
        states = []
        for name, alarm in zip(names, (high_alarm(tracking), low), strict=False):  # there may be no low one
            states.append(alarm_state(points, alarm))
            self._tell(scope, policy, name, states[-1], _reason(states[-1], points, alarm))
        new = self._is_new(policy["PolicyARN"], "", end_s)
        view = TrackingView(
            policy["PolicyName"],
            tracking,
            high_name=names[0],
            high_state=states[0],
            low_name=names[-1],
            low_state=states[1] if len(states) > 1 else AlarmState.OK,
            points=points,
        )
        yield view, new

    def _steps(self, scope: Scope, policy: Record) -> Iterator[tuple[PolicyView, bool]]:
        """One for each of the caller's alarms that can be evaluated."""
        for alarm in self._with_actions(scope):
            found = rules_of_alarm(alarm)
            if policy["PolicyARN"] not in actions(alarm) or found is None:
                continue
            metric, rules = found
            points, end_s = self._series.last(scope, metric, rules.period_s, rules.window)
            state = alarm_state(points, rules, AlarmState(alarm["StateValue"]))
            if state != alarm["StateValue"]:
                self._cloudwatch.set_state(scope, alarm["AlarmName"], str(state), _reason(state, points, rules))
                alarm["StateValue"] = str(state)
            values = evaluated(points, rules)
            view = StepView(
                policy["PolicyName"],
                step_scaling(policy[STEP_CONFIG]),
                alarm["AlarmName"],
                state,
                metric=values[-1] if values else None,
                threshold=rules.threshold,
                comparison=rules.comparison,
            )
            yield view, self._is_new(policy["PolicyARN"], alarm["AlarmName"], end_s)

    def _with_actions(self, scope: Scope) -> list[dict[str, Any]]:
        now_s = self._clock()
        read_s, alarms = self._callers.get(scope, (0.0, []))
        if now_s - read_s >= self._compression.real_s(LOOK_S):
            alarms = self._cloudwatch.with_actions(scope)
            self._callers[scope] = (now_s, alarms)
        return alarms

    def _tell(self, scope: Scope, policy: Record, name: str, state: AlarmState, reason: str) -> None:
        """Have CloudWatch show the state of an alarm of ours."""
        arn = policy["PolicyARN"]
        key = (arn, name, policy[OWN]["PutTime"])  # CloudWatch forgets the state when the alarm is put
        if self._states.get(key, AlarmState.INSUFFICIENT_DATA) == state:
            return
        try:
            self._cloudwatch.set_state(scope, name, str(state), reason)
        except ApiError:  # somebody has deleted it: make it anew
            for request in tracking_alarms(arn, policy, self._compression):
                if request["AlarmName"] == name:
                    self._cloudwatch.put(scope, request)
            self._cloudwatch.set_state(scope, name, str(state), reason)
        self._states[key] = state

    def _is_new(self, policy_arn: str, alarm: str, end_s: int) -> bool:
        before = self._ends.get((policy_arn, alarm))
        self._ends[policy_arn, alarm] = end_s
        return before != end_s


def _reason(state: AlarmState, points: tuple[float | None, ...], alarm: Alarm) -> str:
    """In CloudWatch's words."""
    values = evaluated(points, alarm)
    if not values:
        return f"Insufficient Data: {alarm.evaluation_periods} datapoints were unknown."
    breaching = sum(map(alarm.breaches, values))
    relation = {
        Comparison.GREATER: "greater than",
        Comparison.GREATER_OR_EQUAL: "greater than or equal to",
        Comparison.LESS: "less than",
        Comparison.LESS_OR_EQUAL: "less than or equal to",
    }[alarm.comparison]
    shown, verb = (breaching, "were") if state is AlarmState.ALARM else (len(values) - breaching, "were not")
    return (
        f"Threshold Crossed: {shown} out of the last {len(values)} datapoints [{', '.join(map(str, values[-5:]))}] "
        f"{verb} {relation} the threshold ({alarm.threshold})."
    )
