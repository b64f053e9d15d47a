"""The rollback of a CloudFormation stack, of which LocalStack has names of statuses only: it calls a failed update
complete, and keeps what a failed stack had made.

AWS source: "Stack failure options" and the status codes of stacks in the CloudFormation User Guide.
"""

from collections.abc import Mapping
from typing import Any

from localstack.aws.api.cloudformation import ChangeAction, ResourceStatus, StackStatus
from localstack.services.cloudformation.engine.v2.change_set_model_executor import (
    ChangeSetModelExecutorResult,
    TriggerRollback,
)
from localstack.services.cloudformation.engine.v2.change_set_model_preproc import PreprocProperties
from localstack.services.cloudformation.resource_provider import OperationStatus

MADE = (ResourceStatus.CREATE_COMPLETE, ResourceStatus.UPDATE_COMPLETE)
FAILED = (ResourceStatus.CREATE_FAILED, ResourceStatus.UPDATE_FAILED)
ENDS = (
    StackStatus.CREATE_COMPLETE, StackStatus.CREATE_FAILED, StackStatus.ROLLBACK_COMPLETE, StackStatus.ROLLBACK_FAILED,
    StackStatus.UPDATE_COMPLETE, StackStatus.UPDATE_FAILED, StackStatus.UPDATE_ROLLBACK_COMPLETE,
    StackStatus.UPDATE_ROLLBACK_FAILED,
)  # fmt: skip


def execute(executor: Any) -> ChangeSetModelExecutorResult:
    """Make the change of a stack. One that fails is undone, unless the stack was asked to keep what is there.

    In place of ChangeSetModelExecutor.execute, and different from it in what follows a failure. Executor and stack are
    LocalStack's, with three members of ours: `attempts`, `only_ends` and `disable_rollback`."""
    stack = executor._change_set.stack
    deletes, updates = stack.status == StackStatus.DELETE_IN_PROGRESS, stack.status == StackStatus.UPDATE_IN_PROGRESS
    executor.attempts = {}  # the properties that a resource is to get; `cloudformation_patches` notes them
    stack.only_ends = ()  # LocalStack ends a stack with the first resource that fails
    failure = _failure(executor)
    if failure is not None and not deletes:
        try:
            _fail(executor, updates=updates)
        except Exception:
            stack.only_ends = ENDS  # LocalStack says then that the stack failed
            raise
        return ChangeSetModelExecutorResult(executor.resources, executor.outputs, failure)
    stack.only_ends = ENDS
    if executor._deferred_actions and not deletes:
        stack.set_stack_status(StackStatus.UPDATE_COMPLETE_CLEANUP_IN_PROGRESS)
    for deferred in reversed(executor._deferred_actions):
        deferred.action()
    if not deletes:  # DeleteStack goes by this template, which UpdateStack leaves as it was
        stack.processed_template = executor._change_set.processed_template
    return ChangeSetModelExecutorResult(executor.resources, executor.outputs, failure)


def may_become(stack: Any, status: StackStatus) -> bool:
    """Whether a stack may get this status. LocalStack gives another end to a change that has had its end, and calls a
    stack new when a change set follows an update that was undone."""
    if status == StackStatus.REVIEW_IN_PROGRESS:
        return stack.status not in (StackStatus.UPDATE_ROLLBACK_COMPLETE, StackStatus.UPDATE_FAILED)
    return status not in ENDS or status in getattr(stack, "only_ends", ENDS)


def _failure(executor: Any) -> str | None:
    try:
        executor.process()
    except TriggerRollback as error:
        return error.reason or f"The resource {error.logical_resource_id} failed."
    except Exception as error:  # noqa: BLE001 - whatever a template leads to
        return str(error)
    return None


def _fail(executor: Any, *, updates: bool) -> None:
    """Give the stack the resources and the status that it has after a change that failed."""
    stack = executor._change_set.stack
    sent = {} if updates else stack.request_payload
    keeps = "DO_NOTHING" in (sent.get("OnFailure"), sent.get("OnStackFailure")) or sent.get("DisableRollback")
    if keeps or getattr(stack, "disable_rollback", False):
        _keep(executor)
        _end(stack, StackStatus.UPDATE_FAILED if updates else StackStatus.CREATE_FAILED)
    elif updates:
        stack.set_stack_status(StackStatus.UPDATE_ROLLBACK_IN_PROGRESS, _reason(stack, "update"))
        end = StackStatus.UPDATE_ROLLBACK_COMPLETE if _undo(executor) else StackStatus.UPDATE_ROLLBACK_FAILED
        _restore(executor)
        _end(stack, end)
    else:
        verb = "DELETE" if sent.get("OnFailure") == "DELETE" else "ROLLBACK"
        stack.set_stack_status(StackStatus(f"{verb}_IN_PROGRESS"), _reason(stack, "create"))
        _end(stack, StackStatus(f"{verb}_COMPLETE" if _undo(executor) else f"{verb}_FAILED"))


def _end(stack: Any, status: StackStatus) -> None:
    stack.only_ends = (status,)
    stack.set_stack_status(status)


def _reason(stack: Any, verb: str) -> str:
    failed = [name for name, state in stack.resource_states.items() if state["ResourceStatus"] in FAILED]
    return f"The following resource(s) failed to {verb}: [{', '.join(failed)}]. Rollback requested by user."


def _keep(executor: Any) -> None:
    """Let the stack have all that there is now, so that it can delete it: AWS deletes what was replaced later."""
    change, stack = executor._change_set, executor._change_set.stack
    for deferred in executor._deferred_actions:
        if deferred.name.startswith("cleanup-from-replacement-"):
            deferred.action()
    for name, old in executor._before_resolved_resources.items():
        now = executor.resources.get(name, old)
        failed = {"ResourceStatus": now["ResourceStatus"]} if now["ResourceStatus"] in FAILED else {}
        executor.resources[name] = {**old, **failed} if failed else now
    change.template = _with_resources(stack.template, change.template)
    stack.processed_template = _with_resources(stack.processed_template, change.processed_template)


def _with_resources(old: Any, new: Any) -> Any:
    """The new template, with the resources that only the old one has."""
    return {**new, "Resources": {**(old or {}).get("Resources", {}), **new.get("Resources", {})}}


def _restore(executor: Any) -> None:
    """Have LocalStack find the stack as it was: it takes template, resources and outputs from the change."""
    change, stack = executor._change_set, executor._change_set.stack
    executor.resources.clear()
    executor.resources.update(executor._before_resolved_resources)
    executor.outputs[:] = stack.resolved_outputs
    change.template, change.template_body = stack.template, stack.template_body
    change.processed_template, change.resolved_parameters = stack.processed_template, stack.resolved_parameters


def _undo(executor: Any) -> bool:
    """Undo what the change has made, the last first; whether all of it could be undone."""
    executor._deferred_actions.clear()  # what was to be replaced or removed stays
    before = executor._before_resolved_resources
    undone = [_undo_one(executor, name, before.get(name)) for name in reversed(list(executor.resources))]
    return all(undone)


def _undo_one(executor: Any, name: str, old: Any) -> bool:
    now = dict(executor.resources[name])
    if now == old:
        return True
    in_place = bool(old) and now.get("PhysicalResourceId", old["PhysicalResourceId"]) == old["PhysicalResourceId"]
    if in_place and now["ResourceStatus"] != ResourceStatus.CREATE_FAILED:
        tried = PreprocProperties(properties=executor.attempts.get(name, {}))
        properties = {"before_properties": tried, "after_properties": PreprocProperties(properties=old["Properties"])}
        undone = _act(executor, ChangeAction.Modify, name, now["Type"], properties)
    elif now["ResourceStatus"] in MADE:
        made = PreprocProperties(properties=now["Properties"])
        undone = _act(executor, ChangeAction.Remove, name, now["Type"], {"before_properties": made})
    else:
        undone = True  # it was never made
        _tell(executor, ChangeAction.Remove, name, now["Type"], OperationStatus.SUCCESS)
    executor.resources[name] = old or {**now, "ResourceStatus": ResourceStatus.DELETE_COMPLETE}
    if old:
        _tell(executor, ChangeAction.Modify, name, old["Type"], OperationStatus.SUCCESS)
    return undone


def _act(executor: Any, action: ChangeAction, name: str, kind: str, properties: Mapping[str, Any]) -> bool:
    _tell(executor, action, name, kind, OperationStatus.IN_PROGRESS)
    told = {"action": action, "logical_resource_id": name, "resource_type": kind}
    event = executor._execute_resource_action(
        **{"before_properties": None, "after_properties": None, **told, **properties}
    )
    _tell(executor, action, name, kind, event.status, event.message)
    return bool(event.status == OperationStatus.SUCCESS)


def _tell(
    executor: Any,
    action: ChangeAction,
    name: str,
    kind: str,
    status: OperationStatus,
    reason: str | None = None,
) -> None:
    executor._process_event(
        action=action, logical_resource_id=name, event_status=status, resource_type=kind, reason=reason
    )
