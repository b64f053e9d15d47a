"""What we change in LocalStack's CloudFormation: where it finds our providers, and its rollback."""

from collections.abc import Iterable, Mapping
from functools import wraps
from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.api.cloudformation import StackStatus
from localstack.services.cloudformation.engine.v2.change_set_model_executor import (
    ChangeSetModelExecutor,
    ChangeSetModelExecutorResult,
)
from localstack.services.cloudformation.resource_provider import ResourceProviderExecutor
from localstack.services.cloudformation.stores import get_cloudformation_store
from localstack.services.cloudformation.v2.entities import Stack
from localstack.services.cloudformation.v2.provider import CloudformationProviderV2, find_change_set_v2

from stagemaker.adapters.cloudformation import provider_of
from stagemaker.adapters.patches import Patch
from stagemaker.adapters.rollback import execute, may_become
from stagemaker.app import App


def _providers(_app: App, original: Any) -> Any:
    def try_load_resource_provider(resource_type: str) -> Any:
        return provider_of(resource_type or "") or original(resource_type)

    return staticmethod(try_load_resource_provider)


def _execute(_app: App, _original: Any) -> Any:
    def execute_change(self: ChangeSetModelExecutor) -> ChangeSetModelExecutorResult:
        return execute(self)

    return execute_change


def _execute_resource_action(_app: App, original: Any) -> Any:
    def execute_resource_action(self: Any, **told: Any) -> Any:
        if told["after_properties"] is not None:
            self.attempts[told["logical_resource_id"]] = told["after_properties"].properties
        return original(self, **told)

    return execute_resource_action


def _set_stack_status(_app: App, original: Any) -> Any:
    def set_stack_status(self: Stack, status: StackStatus, reason: str | None = None) -> None:
        if may_become(self, status):
            original(self, status, reason)

    return set_stack_status


def _update_stack(_app: App, original: Any) -> Any:
    @wraps(original)
    def update_stack(self: Any, context: RequestContext, request: Mapping[str, Any]) -> Any:
        stacks: Iterable[Any] = get_cloudformation_store(context.account_id, context.region).stacks_v2.values()
        for stack in stacks:
            if request.get("StackName") in (stack.stack_name, stack.stack_id):
                stack.disable_rollback = bool(request.get("DisableRollback"))
        return original(self, context, request)

    return update_stack


def _execute_change_set(_app: App, original: Any) -> Any:
    @wraps(original)
    def execute_change_set(self: Any, context: RequestContext, **sent: Any) -> Any:
        state = get_cloudformation_store(context.account_id, context.region)
        change_set = find_change_set_v2(state, sent["change_set_name"], sent.get("stack_name"))
        if change_set:
            stack: Any = change_set.stack
            stack.disable_rollback = bool(sent.get("disable_rollback"))
        return original(self, context, **sent)

    return execute_change_set


PATCHES = (
    Patch(
        ResourceProviderExecutor,
        "try_load_resource_provider",
        ("resource_type",),
        _providers,
        why="CloudFormation finds a type's provider by entry points, and has one for AWS::ECR::Repository.",
        without="CloudFormation says CREATE_COMPLETE for resources of SageMaker and ECR that were never made.",
    ),
    Patch(
        ChangeSetModelExecutor,
        "execute",
        ("self",),
        _execute,
        why="A stack that fails keeps what it had made; an update that fails is called complete.",
        without="Endpoints of a failed stack run on, and nobody knows of them.",
    ),
    Patch(
        ChangeSetModelExecutor,
        "_execute_resource_action",
        (
            "self", "action", "logical_resource_id", "resource_type", "before_properties", "after_properties",
            "part_of_replacement",
        ),
        _execute_resource_action,
        why="What a resource should have become is known only while its provider is asked.",
        without="An update that fails cannot give its resources their former properties.",
    ),
    Patch(
        Stack,
        "set_stack_status",
        ("self", "status", "reason"),
        _set_stack_status,
        why="A stack has the status of a resource that failed, and another one after its end.",
        without="A stack whose update was undone says UPDATE_COMPLETE.",
    ),
    Patch(
        CloudformationProviderV2,
        "update_stack",
        ("self", "context", "request"),
        _update_stack,
        why="DisableRollback of an update is not kept.",
        without="An update that fails is undone, also when it was asked not to be.",
    ),
    Patch(
        CloudformationProviderV2,
        "execute_change_set",
        (
            "self", "context", "change_set_name", "stack_name", "client_request_token", "disable_rollback",
            "retain_except_on_create", "kwargs",
        ),
        _execute_change_set,
        why="DisableRollback of a change set is not kept.",
        without="A change set that fails is undone, also when it was asked not to be.",
    ),
)  # fmt: skip
