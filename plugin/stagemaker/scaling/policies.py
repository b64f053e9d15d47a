"""Scaling policies: target tracking with its two alarms in CloudWatch, and step scaling on alarms of the caller."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from stagemaker.api.operation import OWN, Request, Response
from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import SCALING_POLICY
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Record, Store
from stagemaker.scaling.cloudwatch import CloudWatch
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.metrics import CONFIG, target_tracking, tracking_alarms
from stagemaker.scaling.paging import Place, page, summary
from stagemaker.scaling.resources import ScalableResource, check_service, resource_of
from stagemaker.scaling.steps import MAX_STEPS, step_scaling
from stagemaker.scaling.targets import belonging, matching, registered

STEP_CONFIG = "StepScalingPolicyConfiguration"
TRACKING, STEPS = "TargetTrackingScaling", "StepScaling"
MAX_POLICIES = 50  # AWS's quota for a target
MAX_CONFIG_BYTES = 51_200  # AWS's limit of a request with metric math


class ScalingPolicies:
    """PutScalingPolicy, DescribeScalingPolicies, DeleteScalingPolicy. `changed` is called after each change."""

    def __init__(
        self,
        store: Store,
        alarms: CloudWatch,
        clock: Callable[[], float],
        compression: Compression,
        changed: Callable[[], None],
    ) -> None:
        self._store, self._alarms, self._clock = store, alarms, clock
        self._compression, self._changed = compression, changed

    def put_scaling_policy(self, scope: Scope, request: Request) -> Response:
        """Create or replace a policy, and the alarms of target tracking.

        ObjectNotFoundException without a scalable target; ValidationException for a configuration that breaks a rule;
        LimitExceededException above AWS's quotas; ConcurrentUpdateException when the target goes meanwhile."""
        resource = resource_of(request)
        ref = resource.policy(scope, request["PolicyName"])
        with self._store.lock:
            registered(self._store, scope, resource)
            old = self._store.get(ref)
            record = _record(ref, request, resource, old, self._clock())
            self._check_others(ref, record, resource)
        requests = tracking_alarms(ref.arn, record, self._compression) if record["PolicyType"] == TRACKING else []
        alarms = [{"AlarmName": each["AlarmName"], "AlarmARN": self._alarms.put(scope, each)} for each in requests]
        kept = [alarm["AlarmName"] for alarm in alarms]
        with self._store.lock:
            gone = self._store.get(resource.target(scope)) is None
            if not gone:
                self._store.put(ref, {**record, "Alarms": alarms})
        if gone:
            self._alarms.delete(scope, kept)
            raise ApiError("ConcurrentUpdateException", f"The scalable target was deregistered meanwhile: {resource}")
        if unused := [name for name in _alarm_names(old or {}) if name not in kept]:
            self._alarms.delete(scope, unused)
        self._changed()
        return {"PolicyARN": ref.arn, "Alarms": alarms}

    def describe_scaling_policies(self, scope: Scope, request: Request) -> Response:
        """Oldest first, with the alarms that have the policy as an action."""
        check_service(request)
        resource_id = request.get("ResourceId")
        found = matching(self._store.all(scope, SCALING_POLICY), request, [resource_id] if resource_id else None)
        if names := request.get("PolicyNames"):
            found = [record for record in found if record["PolicyName"] in names]
        shown, more = page(found, request, "policies", _place, newest_first=False)
        callers = self._alarms.with_actions(scope) if any(each["PolicyType"] == STEPS for each in shown) else []
        return {"ScalingPolicies": [_described(record, callers) for record in shown], **more}

    def delete_scaling_policy(self, scope: Scope, request: Request) -> Response:
        """Delete a policy, and the alarms of target tracking; those of step scaling are the caller's.
        ObjectNotFoundException when there is none."""
        resource = resource_of(request)
        name = request["PolicyName"]
        ref = resource.policy(scope, name)
        with self._store.lock:
            record = self._store.get(ref)
            if record is None:
                message = f"No scaling policy found for {resource}, policy name: {name}"
                raise ApiError("ObjectNotFoundException", message)
            self._store.delete(ref)
        if names := _alarm_names(record):
            self._alarms.delete(scope, names)
        return {}

    def _check_others(self, ref: Ref, record: Mapping[str, Any], resource: ScalableResource) -> None:
        others = [other for found, other in belonging(self._store, ref.scope, SCALING_POLICY, resource) if found != ref]
        if len(others) >= MAX_POLICIES:
            message = f"A scalable target has at most {MAX_POLICIES} scaling policies."
            raise ApiError("LimitExceededException", message)
        if record["PolicyType"] != TRACKING:
            return
        metrics = [target_tracking(resource, other[CONFIG])[1] for other in others if CONFIG in other]
        if target_tracking(resource, record[CONFIG])[1] in metrics:
            raise validation_error("Only one TargetTrackingScaling policy for a given metric specification is allowed.")


def _record(ref: Ref, request: Request, resource: ScalableResource, old: Record | None, now_s: float) -> dict[str, Any]:
    """The policy's record, but for its alarms; raises as `put_scaling_policy`."""
    kind = request.get("PolicyType") or (old or {}).get("PolicyType")
    if kind is None:
        raise validation_error("PolicyType is required for a new scaling policy.")
    if kind not in (TRACKING, STEPS):
        raise not_supported(f"policies of the type {kind}")
    if kind == STEPS and not resource.kind.takes_steps:
        raise validation_error(f"{STEPS} is not supported for the scalable dimension {resource.dimension}.")
    member, other = (CONFIG, STEP_CONFIG) if kind == TRACKING else (STEP_CONFIG, CONFIG)
    if other in request:
        raise validation_error(f"{other} cannot be specified for a policy of the type {kind}.")
    config = request.get(member) or (old or {}).get(member)
    if config is None:
        raise validation_error(f"{kind} policy configuration must be specified")
    _check_config(resource, kind, config)
    return {
        "PolicyARN": ref.arn,
        "PolicyName": request["PolicyName"],
        **resource.members,
        "PolicyType": kind,
        member: config,
        "CreationTime": old["CreationTime"] if old else now_s,
        OWN: {"PutTime": now_s},
    }


def _check_config(resource: ScalableResource, kind: str, config: Mapping[str, Any]) -> None:
    if len(json.dumps(config)) > MAX_CONFIG_BYTES:
        raise validation_error(f"The configuration of a policy must not be longer than {MAX_CONFIG_BYTES} bytes.")
    if kind == TRACKING:
        target_tracking(resource, config)
        return
    if len(config.get("StepAdjustments", ())) > MAX_STEPS:
        message = f"A step scaling policy has at most {MAX_STEPS} step adjustments."
        raise ApiError("LimitExceededException", message)
    if min(config.get("Cooldown", 0), config.get("MinAdjustmentMagnitude", 0)) < 0:
        raise validation_error("Cooldown and MinAdjustmentMagnitude must not be negative.")
    step_scaling(config)


def _described(record: Record, alarms: list[dict[str, Any]]) -> dict[str, Any]:
    """With the caller's alarms, which know the policy and not the other way round."""
    if record["PolicyType"] == TRACKING:
        return summary(record, (OWN,))
    mine = [alarm for alarm in alarms if record["PolicyARN"] in actions(alarm)]
    shown = [{"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]} for alarm in mine]
    return {**summary(record, (OWN,)), "Alarms": shown}


def actions(alarm: Mapping[str, Any]) -> list[str]:
    """The ARNs that an alarm triggers when it goes into ALARM; none when its actions are switched off."""
    return list(alarm.get("AlarmActions", [])) if alarm.get("ActionsEnabled", True) else []


def _alarm_names(record: Mapping[str, Any]) -> list[str]:
    return [alarm["AlarmName"] for alarm in record.get("Alarms", [])]


def _place(record: Record) -> Place:
    return record["CreationTime"], f"{record['ResourceId']} {record['PolicyName']}"
