"""Model, endpoint configuration and endpoint. The first two cannot change on AWS; the endpoint moves from one
configuration to the next."""

import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.clients import Clients
from infra.errors import StepFailed
from infra.plan import Plan
from infra.resources import CREATED, UNCHANGED, UPDATED, Change, is_missing
from infra.resources.logs import destroy_group, tail

WAIT_LIMIT_S = 1800.0  # AWS takes some minutes to find instances


def ensure_model(sagemaker: Any, request: dict[str, Any]) -> Change:
    """The model of that name."""
    if _found(lambda: sagemaker.describe_model(ModelName=request["ModelName"])):
        return UNCHANGED
    sagemaker.create_model(**request)
    return CREATED


def ensure_endpoint_config(sagemaker: Any, request: dict[str, Any]) -> Change:
    """The endpoint configuration of that name."""
    if _found(lambda: sagemaker.describe_endpoint_config(EndpointConfigName=request["EndpointConfigName"])):
        return UNCHANGED
    sagemaker.create_endpoint_config(**request)
    return CREATED


def ensure_endpoint(clients: Clients, plan: Plan, config: str) -> Change:
    """The endpoint, InService with this configuration. Raises StepFailed with its FailureReason and log."""
    found = _wait(clients, plan.endpoint) if describe(clients, plan.endpoint) else None
    change: Change = UNCHANGED
    if found and found["EndpointStatus"] == "Failed":
        _delete_endpoint(clients, plan.endpoint)
        found, change = None, UPDATED
    names = {"EndpointName": plan.endpoint, "EndpointConfigName": config}
    if found is None:
        clients.sagemaker.create_endpoint(**names, Tags=plan.tags)
        change = change if change == UPDATED else CREATED
    elif found["EndpointConfigName"] != config:
        clients.sagemaker.update_endpoint(**names)
        change = UPDATED
    found = _wait(clients, plan.endpoint)
    if found["EndpointStatus"] != "InService" or found["EndpointConfigName"] != config:
        reason = found.get("FailureReason", "no reason was given")
        raise StepFailed(
            f"The endpoint {plan.endpoint} is {found['EndpointStatus']}: {reason}",
            "Mend what the reason and the log above say, and run it again.",
            tail(clients.logs, plan.endpoint_logs),
        )
    return change


def destroy_endpoint(clients: Clients, plan: Plan) -> bool:
    """Delete the endpoint, wait until it is gone, and delete its log; whether there was one."""
    found = describe(clients, plan.endpoint)
    if found:
        _wait(clients, plan.endpoint)  # AWS does not delete one that is being made or changed
        _delete_endpoint(clients, plan.endpoint)
    destroy_group(clients.logs, plan.endpoint_logs)
    return found is not None


def describe(clients: Clients, name: str) -> dict[str, Any] | None:
    """DescribeEndpoint's answer, or None when there is no such endpoint."""
    return _found(lambda: clients.sagemaker.describe_endpoint(EndpointName=name))


def _delete_endpoint(clients: Clients, name: str) -> None:
    clients.sagemaker.delete_endpoint(EndpointName=name)
    deadline = time.monotonic() + WAIT_LIMIT_S
    while describe(clients, name):
        _pause(clients, name, deadline)


def _wait(clients: Clients, name: str) -> dict[str, Any]:
    """Until it is at rest: InService, Failed or OutOfService."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while True:
        found: dict[str, Any] = clients.sagemaker.describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] in ("InService", "Failed", "OutOfService"):
            return found
        _pause(clients, name, deadline)


def _pause(clients: Clients, name: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StepFailed(f"The endpoint {name} did not settle within {WAIT_LIMIT_S:.0f} s.", "Run this again.")
    time.sleep(clients.poll_s)


def _found(call: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return call()
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
