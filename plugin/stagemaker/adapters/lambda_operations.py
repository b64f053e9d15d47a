"""Operations on versions, aliases and provisioned concurrency that LocalStack's Lambda does otherwise than AWS."""

from dataclasses import replace
from functools import wraps
from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.api.lambda_ import AliasRoutingConfiguration, ResourceConflictException
from localstack.services.lambda_ import api_utils
from localstack.services.lambda_.invocation.lambda_models import Function, VersionAlias
from localstack.services.lambda_.invocation.lambda_service import LambdaService
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager
from localstack.services.lambda_.provider import LambdaProvider
from localstack.services.lambda_.provider_utils import get_function_version

from stagemaker.adapters.lambda_pools import POOLS
from stagemaker.adapters.patches import Patch
from stagemaker.app import App


def _update_provisioned(app: App, _original: Any) -> Any:
    def update_provisioned_concurrency_config(
        self: LambdaVersionManager, provisioned_concurrent_executions: int
    ) -> None:
        POOLS.of(app, self).want(provisioned_concurrent_executions)

    return update_provisioned_concurrency_config


def _update_alias(_app: App, _original: Any) -> Any:
    def update_alias(self: LambdaService, old_alias: VersionAlias, new_alias: VersionAlias, function: Function) -> None:
        wanted = function.provisioned_concurrency_configs.get(old_alias.name)
        if wanted is None or old_alias.function_version == new_alias.function_version:
            return
        for version, number in (
            (new_alias.function_version, wanted.provisioned_concurrent_executions),
            (old_alias.function_version, 0),
        ):
            self.get_lambda_version_manager(
                function.versions[version].qualified_arn
            ).update_provisioned_concurrency_config(number)

    return update_alias


def _delete_provisioned(_app: App, original: Any) -> Any:
    @wraps(original)
    def delete_provisioned_concurrency_config(
        self: LambdaProvider, context: RequestContext, function_name: str, qualifier: str, **kwargs: Any
    ) -> None:
        function, name = _function(context, function_name, qualifier)
        alias = function.aliases.get(name) if function else None
        if function is None or alias is None:
            original(self, context, function_name, qualifier, **kwargs)
        elif function.provisioned_concurrency_configs.pop(name, None):
            _end_provisioned(self, function, alias.function_version)

    return delete_provisioned_concurrency_config


def _delete_alias(_app: App, original: Any) -> Any:
    @wraps(original)
    def delete_alias(
        self: LambdaProvider, context: RequestContext, function_name: str, name: str, **kwargs: Any
    ) -> None:
        function, _ = _function(context, function_name, None)
        alias = function.aliases.get(name) if function else None
        is_provisioned = function is not None and name in function.provisioned_concurrency_configs
        original(self, context, function_name, name, **kwargs)
        if function and alias and is_provisioned:
            _end_provisioned(self, function, alias.function_version)

    return delete_alias


def _delete_function(_app: App, original: Any) -> Any:
    @wraps(original)
    def delete_function(
        self: LambdaProvider, context: RequestContext, function_name: str, qualifier: str | None = None, **kwargs: Any
    ) -> Any:
        function, version = _function(context, function_name, qualifier)
        if function and version:
            names = [alias.name for alias in function.aliases.values() if version in _versions(alias)]
            if names:
                raise ResourceConflictException(
                    f"Unable to delete version because the following aliases reference it: [{', '.join(names)}]",
                    Type="User",
                )
        answer = original(self, context, function_name, qualifier, **kwargs)
        if function:
            function.provisioned_concurrency_configs.pop(version, None)
        return answer

    return delete_function


def _versions(alias: VersionAlias) -> set[str]:
    routing = alias.routing_configuration
    return {alias.function_version, *(routing.version_weights if routing else ())}


def _function(context: RequestContext, function_name: str, qualifier: str | None) -> tuple[Function | None, str]:
    """The function that a request names, if there is one, and the qualifier or nothing."""
    account, region = api_utils.get_account_and_region(function_name, context)
    name, found = api_utils.get_name_and_qualifier(function_name, qualifier, context)
    return lambda_stores[account][region].functions.get(name), found or ""


def _end_provisioned(provider: LambdaProvider, function: Function, version: str) -> None:
    manager = provider.lambda_service.get_lambda_version_manager(function.versions[version].qualified_arn)
    manager.update_provisioned_concurrency_config(0)


def _update_alias_operation(_app: App, original: Any) -> Any:
    @wraps(original)
    def update_alias(
        self: LambdaProvider,
        context: RequestContext,
        function_name: str,
        name: str,
        function_version: str | None = None,
        description: str | None = None,
        routing_config: AliasRoutingConfiguration | None = None,
        revision_id: str | None = None,
        **kwargs: Any,
    ) -> Any:
        function, _ = _function(context, function_name, None)
        alias = function.aliases.get(name) if function else None
        if function is None or alias is None:
            return original(self, context, function_name, name, **kwargs)
        target = function_version or alias.function_version
        account, region = api_utils.get_account_and_region(function_name, context)
        version = get_function_version(function.function_name, target, account, region)
        weights = (routing_config or {}).get("AdditionalVersionWeights")
        routing = self._create_routing_config_model(weights, version) if weights else None
        answer = original(
            self, context, function_name, name, function_version, description, None, revision_id, **kwargs
        )
        if routing_config is None:
            return answer
        changed = replace(function.aliases[name], routing_configuration=routing)
        function.aliases[name] = changed
        return api_utils.map_alias_out(alias=changed, function=function)

    return update_alias


PATCHES = (
    Patch(
        LambdaVersionManager,
        "update_provisioned_concurrency_config",
        ("self", "provisioned_concurrent_executions"),
        _update_provisioned,
        why="A new number of provisioned environments makes all of them anew, and ends the invocations on them.",
        without="Scaling provisioned concurrency loses calls, and is refused while it goes on.",
    ),
    Patch(
        LambdaService,
        "update_alias",
        ("self", "old_alias", "new_alias", "function"),
        _update_alias,
        why="An alias that moves ends the old version's environments first, and waits 4 s for that.",
        without="UpdateAlias answers 500 on a busy machine, and nothing is warm meanwhile.",
    ),
    Patch(
        LambdaProvider,
        "update_alias",
        (
            "self", "context", "function_name", "name", "function_version", "description", "routing_config",
            "revision_id", "kwargs",
        ),
        _update_alias_operation,
        why="UpdateAlias with RoutingConfig calls a function with too few arguments, and takes a version that is none.",
        without="The weights of an alias cannot be changed: 500.",
    ),
    Patch(
        LambdaProvider,
        "delete_alias",
        ("self", "context", "function_name", "name", "kwargs"),
        _delete_alias,
        why="The provisioned environments of an alias stay when it is deleted.",
        without="They run for ever.",
    ),
    Patch(
        LambdaProvider,
        "delete_provisioned_concurrency_config",
        ("self", "context", "function_name", "qualifier", "kwargs"),
        _delete_provisioned,
        why="An alias is looked up as if it were a version.",
        without="Deleting an alias's provisioned concurrency answers 500, and its environments run for ever.",
    ),
    Patch(
        LambdaProvider,
        "delete_function",
        ("self", "context", "function_name", "qualifier", "kwargs"),
        _delete_function,
        why="A version is deleted that an alias names, and its provisioned concurrency still counts.",
        without="The alias is broken, and the function is throttled by what is not there.",
    ),
)  # fmt: skip
