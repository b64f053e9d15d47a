"""The rollback of a CloudFormation stack, of which LocalStack has the statuses only."""

from collections.abc import Callable
from typing import Any

from localstack.aws.api.cloudformation import ChangeAction, ResourceStatus, StackStatus
from localstack.services.cloudformation.engine.v2.change_set_model_executor import ChangeSetModelExecutor
from localstack.services.cloudformation.engine.v2.change_set_model_preproc import PreprocProperties
from localstack.services.cloudformation.resource_provider import OperationStatus

MADE = (ResourceStatus.CREATE_COMPLETE, ResourceStatus.UPDATE_COMPLETE)


def defer_rollback(executor: ChangeSetModelExecutor) -> None:
    """Have what a failed change of a stack has made deleted, newest first, unless the stack was asked to keep it.

    It takes the place of the deletions that the change would have ended with: what an update was to replace or to
    remove stays. A property that was changed in place keeps its new value, which AWS would restore."""
    stack = executor._change_set.stack
    payload = stack.request_payload
    if stack.status == StackStatus.DELETE_IN_PROGRESS:
        return
    if payload.get("DisableRollback") or payload.get("OnFailure") == "DO_NOTHING":
        return
    executor._deferred_actions.clear()
    before = executor._before_resolved_resources
    for name, resource in list(executor.resources.items()):
        old = before.get(name, {})
        made = resource.get("ResourceStatus") in MADE
        if made and resource["PhysicalResourceId"] != old.get("PhysicalResourceId"):
            executor._defer_action(f"rollback-{name}", _deletion(executor, name, dict(resource), old))


def _deletion(executor: ChangeSetModelExecutor, name: str, made: dict[str, Any], old: Any) -> Callable[[], None]:
    def delete() -> None:
        told = {"action": ChangeAction.Remove, "logical_resource_id": name, "resource_type": made["Type"]}
        executor._process_event(event_status=OperationStatus.IN_PROGRESS, **told)
        event = executor._execute_resource_action(
            before_properties=PreprocProperties(properties=made["Properties"]), after_properties=None, **told
        )
        executor._process_event(event_status=event.status, reason=event.message, **told)
        if old:
            executor.resources[name] = old
        else:
            executor.resources[name]["ResourceStatus"] = ResourceStatus.DELETE_COMPLETE

    return delete
