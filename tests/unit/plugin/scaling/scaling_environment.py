"""What the tests of the service share: all of it over a resource, a CloudWatch and a clock that the test moves."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.store import MemoryStore
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.resources import FUNCTION, PROVISIONED, VARIANT, ScalableResource
from stagemaker.scaling.scalables import Capacity
from stagemaker.scaling.scaling import Scaling
from stagemaker.scaling.series import LAG_S
from tests.unit.plugin.fakes import SCOPE, FakeClock

RESOURCE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/end/variant/all",
    "ScalableDimension": VARIANT,
}
MINUTE_S = 60
PREDEFINED: dict[str, Any] = {
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
}
ONE_MORE = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}


class FakeScalable:
    """A resource that becomes what it should when `settle` is called; before, it is changing."""

    def __init__(self, count: int = 1) -> None:
        self.now: Capacity | None = Capacity(count, count)
        self.refusal: ApiError | None = None
        self.asked: list[int] = []

    def capacity(self, _scope: Scope, _resource: ScalableResource) -> Capacity | None:
        return self.now

    def set_desired(self, _scope: Scope, _resource: ScalableResource, count: int) -> None:
        self.asked.append(count)
        if self.refusal:
            raise self.refusal
        assert self.now
        self.now = Capacity(count, self.now.current, changing=True)

    def settle(self) -> None:
        assert self.now
        self.now = Capacity(self.now.desired, self.now.desired)


class FakeCloudWatch:
    """Alarms by name, and the values of every metric by the second in which a period begins."""

    def __init__(self) -> None:
        self.alarms: dict[str, dict[str, Any]] = {}
        self.data: dict[int, float] = {}
        self.queries: list[tuple[dict[str, Any], int, int]] = []
        self.is_down = False

    def put(self, scope: Scope, alarm: Mapping[str, Any]) -> str:
        self._check()
        arn = scope.arn("cloudwatch", f"alarm:{alarm['AlarmName']}")
        self.alarms[alarm["AlarmName"]] = {**alarm, "AlarmArn": arn, "StateValue": "INSUFFICIENT_DATA"}
        return arn

    def delete(self, _scope: Scope, names: list[str]) -> None:
        self._check()
        for name in names:
            self.alarms.pop(name, None)

    def with_actions(self, _scope: Scope) -> list[dict[str, Any]]:
        self._check()
        return [dict(alarm) for alarm in self.alarms.values() if alarm.get("AlarmActions")]

    def set_state(self, _scope: Scope, name: str, state: str, reason: str) -> None:
        self._check()
        if name not in self.alarms:
            raise ApiError("FailedResourceAccessException", f"there is no alarm {name}")
        self.alarms[name] |= {"StateValue": state, "StateReason": reason}

    def points(self, _scope: Scope, query: Mapping[str, Any], start_s: int, count: int) -> list[float | None]:
        self._check()
        period_s = query["MetricStat"]["Period"]
        self.queries.append((dict(query), start_s, count))
        return [self.data.get(start_s + place * period_s) for place in range(count)]

    def _check(self) -> None:
        if self.is_down:
            raise ApiError("FailedResourceAccessException", "CloudWatch is away")


class FakeBus:
    """Keeps the details of events."""

    def __init__(self) -> None:
        self.details: list[Mapping[str, Any]] = []

    def put(self, _scope: Scope, source: str, detail_type: str, resource: str, detail: Mapping[str, Any]) -> None:
        assert source == "aws.application-autoscaling"
        assert detail_type == "Application Auto Scaling Scaling Activity State Change"
        assert ":scalable-target/" in resource
        self.details.append(detail)


class ScalingEnvironment:
    """The service, whose clock begins at a whole hour. Nothing looks but `look`."""

    def __init__(self, factor: int = 1, count: int = 1) -> None:
        self.clock, self.store = FakeClock(), MemoryStore()
        self.clock.now = 1_800_000_000.0
        self.scalable, self.cloudwatch, self.bus = FakeScalable(count), FakeCloudWatch(), FakeBus()
        self.compression = Compression(factor)
        scalables = {VARIANT: self.scalable, PROVISIONED: FakeScalable(), FUNCTION: FakeScalable()}
        self.scaling = Scaling(self.store, scalables, self.cloudwatch, self.bus, self.clock, self.compression)
        self.targets, self.policies, self.actions = self.scaling.targets, self.scaling.policies, self.scaling.actions

    def register(self, low: int = 1, high: int = 4, **more: Any) -> str:
        """A scalable target; its ARN."""
        request = {**RESOURCE, "MinCapacity": low, "MaxCapacity": high, **more}
        return str(self.targets.register_scalable_target(SCOPE, request)["ScalableTargetARN"])

    def track(self, target: float, name: str = "track", **config: Any) -> dict[str, Any]:
        """A target tracking policy; the answer."""
        request = {
            **RESOURCE,
            "PolicyName": name,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {"TargetValue": target, **(config or PREDEFINED)},
        }
        return self.policies.put_scaling_policy(SCOPE, request)

    def step(self, *steps: Mapping[str, Any], name: str = "step", **config: Any) -> str:
        """A step scaling policy; its ARN."""
        configuration = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": list(steps or (ONE_MORE,)), **config}
        request = {
            **RESOURCE,
            "PolicyName": name,
            "PolicyType": "StepScaling",
            "StepScalingPolicyConfiguration": configuration,
        }
        return str(self.policies.put_scaling_policy(SCOPE, request)["PolicyARN"])

    def look(self, after_s: float = 0.0) -> None:
        """The loop looks, so much later."""
        self.clock.now += after_s
        self.scaling.loop.look()

    def minutes(self, *values: float | None) -> None:
        """Minutes (compressed ones, if time is) of the metric, each looked at when its data are there."""
        minute_s = self.compression.real_s(MINUTE_S)
        for value in values:
            begin_s = int(self.clock.now // minute_s) * minute_s
            if value is not None:
                self.cloudwatch.data[begin_s] = value
            self.clock.now = begin_s + minute_s + LAG_S
            self.scaling.loop.look()
            self.clock.now -= LAG_S

    def activities(self, **members: Any) -> list[dict[str, Any]]:
        """The newest first."""
        answer = self.scaling.activities.describe_scaling_activities(SCOPE, {**RESOURCE, **members})
        found: list[dict[str, Any]] = answer["ScalingActivities"]
        return found


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Code and message of what it raises."""
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value.code, caught.value.message
