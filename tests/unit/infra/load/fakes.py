"""AWS as a load sees it: one endpoint with one variant, whose scaling is a record."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from infra.load.observe import Services, Variant
from tests.unit.infra.fakes import FakeClient

VARIANT = Variant("dogs", "AllTraffic")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HIGH = "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmHigh-1"
LOW = "TargetTracking-endpoint/dogs/variant/AllTraffic-AlarmLow-2"
COMPRESSED = "Stagemaker: time is compressed 12 times: a minute of AWS takes 5 s."


class FakeAws:
    """The variant, its scalable target and its policies, changed by the calls that change them on AWS."""

    def __init__(self, instances: int = 1) -> None:
        self.instances = instances
        self.target: dict[str, int] | None = None
        self.policies: list[str] = []
        self.settings: dict[str, Any] = {}
        self.activities: list[dict[str, Any]] = []
        self.description = ""
        self.sagemaker = FakeClient(
            {"describe_endpoint": self._endpoint, "update_endpoint_weights_and_capacities": self._change}
        )
        self.autoscaling = FakeClient(
            {
                "describe_scaling_policies": lambda **_: {
                    "ScalingPolicies": [self._policy(one) for one in self.policies]
                },
                "describe_scalable_targets": lambda **_: {"ScalableTargets": [self.target] if self.target else []},
                "describe_scaling_activities": lambda **_: {"ScalingActivities": self.activities},
                "register_scalable_target": self._register,
                "deregister_scalable_target": self._deregister,
                "put_scaling_policy": self._put_policy,
                "delete_scaling_policy": lambda PolicyName, **_: self.policies.remove(PolicyName),
            }
        )
        self.cloudwatch = FakeClient({"describe_alarms": self._alarms})
        self.services = Services(self.sagemaker, self.autoscaling, self.cloudwatch)

    def _endpoint(self, **_: Any) -> dict[str, Any]:
        variant = {"VariantName": "AllTraffic", "CurrentInstanceCount": 1, "DesiredInstanceCount": self.instances}
        return {"EndpointStatus": "InService", "ProductionVariants": [variant]}

    def _change(self, DesiredWeightsAndCapacities: list[dict[str, Any]], **_: Any) -> None:
        (one,) = DesiredWeightsAndCapacities
        self.instances = one["DesiredInstanceCount"]

    def _register(self, MinCapacity: int, MaxCapacity: int, **_: Any) -> None:
        self.target = {"MinCapacity": MinCapacity, "MaxCapacity": MaxCapacity}
        self.instances = min(max(self.instances, MinCapacity), MaxCapacity)

    def _deregister(self, **_: Any) -> None:
        assert self.target is not None
        self.target, self.policies = None, []

    def _put_policy(self, **request: Any) -> None:
        self.settings = request
        self.policies.append(request["PolicyName"])

    def _policy(self, name: str) -> dict[str, Any]:
        return {"PolicyName": name, "Alarms": [{"AlarmName": HIGH}, {"AlarmName": LOW}]}

    def _alarms(self, AlarmNames: list[str], **_: Any) -> dict[str, Any]:
        return {
            "MetricAlarms": [
                {"AlarmName": name, "StateValue": "OK", "AlarmDescription": self.description} for name in AlarmNames
            ]
        }


def activity(number: int, **members: Any) -> Mapping[str, Any]:
    """One of DescribeScalingActivities, in the words seen on AWS."""
    return {
        "ActivityId": f"activity-{number}",
        "StartTime": BEGAN,
        "StatusCode": "Successful",
        "Description": "Setting desired instance count to 2.",
        "Cause": f"monitor alarm {HIGH} in state ALARM triggered policy make-load",
        **members,
    }
