"""DeploymentConfigs for tests."""

from typing import Any


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(
    kind: str,
    size: dict[str, Any] | None = None,
    *,
    wait_s: int = 0,
    termination_s: int = 0,
    limit_s: int | None = None,
    **routing: Any,
) -> dict[str, Any]:
    sizes = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
    sized = {sizes[kind]: size} if size else {}
    limit = {"MaximumExecutionTimeoutInSeconds": limit_s} if limit_s else {}
    policy = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait_s, **sized, **routing},
        "TerminationWaitInSeconds": termination_s,
        **limit,
    }
    return {"BlueGreenUpdatePolicy": policy}


def rolling(
    size: dict[str, Any], *, wait_s: int = 0, back: dict[str, Any] | None = None, limit_s: int | None = None
) -> dict[str, Any]:
    limit = {"MaximumExecutionTimeoutInSeconds": limit_s} if limit_s else {}
    back_size = {"RollbackMaximumBatchSize": back} if back else {}
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait_s, **back_size, **limit}}


def alarms(*names: str) -> dict[str, Any]:
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]}}
