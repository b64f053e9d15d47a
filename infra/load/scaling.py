"""Scales an endpoint as each of the five systems did, for the time of a load, and puts back what was there before."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from infra.blueprint import scaling_requests
from infra.errors import StepFailed
from infra.load.curve import Curve, checked, parse
from infra.load.observe import Services, Variant, compression_in, policy_alarms, variant_of
from infra.settings import ScalingSettings

POLICY = "make-load"
SETTLE_LIMIT_S = 1800.0  # AWS takes some minutes to find instances
_ALARM_LIMIT_S = 60.0
_MINUTE_S = 60
# Minutes of AWS, for a policy's alarms need 3 above and 15 below its target: load for less than one instance, for
# nearly all, and again for less than one.
_LOW_UNTIL, _HIGH_UNTIL, _ENDS = 3, 13, 33
_LOW, _BELOW_MAX = 0.5, 0.5  # instances


# What each system set by hand. What it did not say is ours: B's target, which is what its function reserves for each
# instance; C's range; E's target; and D's settings, which compared one endpoint without scaling and one with it. The
# last is the target of which AWS's alarms are known from a live account; its range is ours.
SYSTEMS: Mapping[str, ScalingSettings] = MappingProxyType(
    {
        "A": ScalingSettings(1, 4, 25, scale_in_cooldown_s=30, scale_out_cooldown_s=5),
        "B": ScalingSettings(1, 5, 20),
        "C": ScalingSettings(1, 3, 100, scale_in_cooldown_s=10, scale_out_cooldown_s=10),
        "D": ScalingSettings(1, 4, 25),
        "E": ScalingSettings(1, 3, 50),
        "target-1500": ScalingSettings(1, 3, 1500),
    }
)


def curve_for(settings: ScalingSettings, compression: int, seconds: float | None = None) -> Curve:
    """A load that makes it scale out and in again, where time passes `compression` times as fast as on AWS; or of the
    same shape in so many seconds. Raises ValueError for a time that is none."""
    rate = settings.target * compression / _MINUTE_S  # that one instance is to get
    low, high = _LOW * rate, (settings.max_instances - _BELOW_MAX) * rate
    ends_s = _ENDS * _MINUTE_S / compression if seconds is None else checked(seconds)
    first_s, second_s = (minute / _ENDS * ends_s for minute in (_LOW_UNTIL, _HIGH_UNTIL))
    return parse(f"step:{low:g},{high:g}@{first_s:g},{low:g}@{second_s:g}").lasting(ends_s)


@dataclass(frozen=True)
class Before:
    """The variant before a load: its instances, and its scalable target if it was one."""

    instances: int
    target: Mapping[str, Any] | None


def before(services: Services, variant: Variant) -> Before:
    """What `put_back` needs. Raises StepFailed when the endpoint is not in service, or when the variant has a scaling
    policy of its own, which would act beside the load's."""
    described = settled(services, variant, poll_s=1.0)
    names = _policies(services, variant)
    if others := [name for name in names if name != POLICY]:
        raise StepFailed(
            f"The variant {variant.name} of {variant.endpoint} has scaling policies already: {', '.join(others)}.",
            "Load it as it is, without --system and --compare; or delete them first.",
        )
    target = (
        None if POLICY in names else _target(services, variant)
    )  # a load that was killed left the policy and its own
    return Before(variant_of(described, variant.name)["DesiredInstanceCount"], target)


def scale(services: Services, variant: Variant, settings: ScalingSettings) -> int:
    """Register the variant and its policy, and wait until its alarms are there. How many times as fast as on AWS time
    passes for them."""
    target, policy = scaling_requests(variant.scalable, settings, POLICY)
    services.autoscaling.register_scalable_target(**target)
    services.autoscaling.put_scaling_policy(**policy)
    deadline = time.monotonic() + _ALARM_LIMIT_S
    while not (alarms := policy_alarms(services, variant)):
        if time.monotonic() > deadline:
            raise StepFailed("The policy's alarms did not appear.", "Run it again.")
        time.sleep(0.2)
    return max(compression_in(alarm.get("AlarmDescription", ""))[1] for alarm in alarms)


def put_back(services: Services, variant: Variant, found: Before, poll_s: float) -> None:
    """Take away the load's policy, give the scalable target its range again or take it away too, and bring the variant
    to the instances that it had."""
    if POLICY in _policies(services, variant):
        services.autoscaling.delete_scaling_policy(**variant.scalable, PolicyName=POLICY)
    if found.target is None:
        if _target(services, variant):
            services.autoscaling.deregister_scalable_target(**variant.scalable)
    else:
        services.autoscaling.register_scalable_target(
            **variant.scalable, MinCapacity=found.target["MinCapacity"], MaxCapacity=found.target["MaxCapacity"]
        )
    described = settled(services, variant, poll_s)
    if variant_of(described, variant.name)["DesiredInstanceCount"] != found.instances:
        services.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=variant.endpoint,
            DesiredWeightsAndCapacities=[
                {"VariantName": variant.name, "DesiredInstanceCount": found.instances},
            ],
        )
        settled(services, variant, poll_s)


def settled(services: Services, variant: Variant, poll_s: float) -> Mapping[str, Any]:
    """DescribeEndpoint's answer once the endpoint is InService. Raises StepFailed when it does not get there."""
    deadline = time.monotonic() + SETTLE_LIMIT_S
    while True:
        found: Mapping[str, Any] = services.sagemaker.describe_endpoint(EndpointName=variant.endpoint)
        status = found["EndpointStatus"]
        if status == "InService":
            return found
        if status in ("Failed", "OutOfService") or time.monotonic() > deadline:
            raise StepFailed(f"The endpoint {variant.endpoint} is {status}.", "Read its log, and run it again.")
        time.sleep(poll_s)


def _policies(services: Services, variant: Variant) -> list[str]:
    """The names of the variant's scaling policies."""
    found = services.autoscaling.describe_scaling_policies(**variant.scalable)["ScalingPolicies"]
    return [policy["PolicyName"] for policy in found]


def _target(services: Services, variant: Variant) -> Mapping[str, Any] | None:
    """The variant as a scalable target, or None when it is none."""
    scalable = variant.scalable
    found: list[Mapping[str, Any]] = services.autoscaling.describe_scalable_targets(
        ServiceNamespace=scalable["ServiceNamespace"],
        ResourceIds=[scalable["ResourceId"]],
        ScalableDimension=scalable["ScalableDimension"],
    )["ScalableTargets"]
    return found[0] if found else None
