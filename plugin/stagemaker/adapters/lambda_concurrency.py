"""Which invocations of functions may run, on which environments, and what CloudWatch is told of them.

In place of LocalStack's invocation of a version, which tells CloudWatch of invocations and errors only.
"""

import time
from functools import partial
from typing import Any

from localstack import config
from localstack.aws.api.lambda_ import (  # type: ignore[attr-defined]  # a class that hides its base of the same name
    ServiceException,
    TooManyRequestsException,
)
from localstack.services.lambda_.invocation.assignment import AssignmentService
from localstack.services.lambda_.invocation.counting_service import calculate_provisioned_concurrency_sum
from localstack.services.lambda_.invocation.executor_endpoint import StatusErrorException
from localstack.services.lambda_.invocation.lambda_models import (
    Function,
    InitializationType,
    Invocation,
    InvocationResult,
    S3Code,
    VersionIdentifier,
)
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager

from stagemaker.adapters.lambda_executor import MeasuredResult
from stagemaker.adapters.lambda_pools import POOLS, PROVISIONED, ready_count, retire
from stagemaker.adapters.patches import RETIRED, Patch
from stagemaker.app import App
from stagemaker.core.refs import Scope
from stagemaker.functions import metrics
from stagemaker.functions.code_users import CodeUsers
from stagemaker.functions.concurrency import Admission, Concurrency, Limits, Throttled
from stagemaker.functions.metrics import Datum

CONCURRENCY, CODE_USERS = Concurrency(), CodeUsers()


def _invoke(app: App, _original: Any) -> Any:
    def invoke(self: LambdaVersionManager, *, invocation: Invocation) -> InvocationResult:
        if self.shutdown_event.is_set():
            raise ServiceException(f"The function {self.function_arn} is being deleted or updated.")
        version, qualifier = self.function_version.id, _qualifier(invocation.invoked_arn)
        function, arns = version.function_name, _arns(version)
        try:
            admission = CONCURRENCY.begin(*arns, limits(self.function, version, ready_count(self)))
        except Throttled as error:
            _record(app, version, metrics.of_throttle(function, qualifier))
            raise TooManyRequestsException("Rate Exceeded.", Reason=error.reason, Type="User") from error
        try:
            _record(app, version, _beginning(self, admission))
            with CODE_USERS.use(_code_id(self)):
                result = _run(self, invocation, admission)
        finally:
            CONCURRENCY.end(admission)
        duration_s = result.duration_s if isinstance(result, MeasuredResult) else 0.0
        end = metrics.of_invocation(function, qualifier, is_error=result.is_error, duration_s=duration_s)
        _record(app, version, end)
        return result

    return invoke


def _code_id(manager: LambdaVersionManager) -> str:
    """Empty for an image, and for code that LocalStack mounts as it is."""
    return getattr(manager.function_version.config.code, "id", "")


def _run(manager: LambdaVersionManager, invocation: Invocation, admission: Admission) -> InvocationResult:
    """On an environment of the kind that the admission says, if there is one."""
    kind = PROVISIONED if admission.is_provisioned else InitializationType.on_demand
    service, version = manager.assignment_service, manager.function_version
    try:
        with service.get_environment(manager.id, version, kind) as environment:
            result = environment.invoke(invocation)
            manager.store_logs(invocation_result=result, execution_env=environment)
    except StatusErrorException as error:
        result = InvocationResult("", error.payload, is_error=True, logs="")
    result.executed_version = version.id.qualifier
    return result


def limits(function: Function | None, version: VersionIdentifier, ready: int) -> Limits:
    """What limits an invocation of the version, which has `ready` provisioned environments. Lambda@Edge has no
    function."""
    functions = list(lambda_stores[version.account][version.region].functions.values())
    sharing = [each for each in functions if each.reserved_concurrent_executions is None]
    reserved = sum(each.reserved_concurrent_executions or 0 for each in functions)
    taken = reserved + sum(calculate_provisioned_concurrency_sum(each) for each in sharing)
    return Limits(
        reserved=function.reserved_concurrent_executions if function else None,
        provisioned=calculate_provisioned_concurrency_sum(function) if function else 0,
        ready=ready,
        unreserved=config.LAMBDA_LIMITS_CONCURRENT_EXECUTIONS - taken,
        sharing=[_arns(each.latest().id)[0] for each in sharing],
    )


def _arns(version: VersionIdentifier) -> tuple[str, str]:
    """Of the function and of the version."""
    return version.unqualified_arn(), version.qualified_arn()  # type: ignore[no-untyped-call]


def _beginning(manager: LambdaVersionManager, admission: Admission) -> list[Datum]:
    """The data points of an invocation that begins."""
    version, function = manager.function_version.id, manager.function
    data = metrics.of_concurrency(version.function_name, admission.running)
    if function and (qualifier := provisioned_qualifier(function, version.qualifier)):
        data += metrics.of_provisioned(
            version.function_name,
            qualifier,
            running=admission.running_provisioned,
            allocated=ready_count(manager),
            is_provisioned=admission.is_provisioned,
        )
    return data


def provisioned_qualifier(function: Function, version: str) -> str:
    """The version, or the alias of it, for which provisioned concurrency is configured; empty for none."""
    names = (version, *(alias.name for alias in function.aliases.values() if alias.function_version == version))
    return next((name for name in names if name in function.provisioned_concurrency_configs), "")


def _qualifier(invoked_arn: str) -> str:
    """What a caller named besides the function, or nothing."""
    return invoked_arn.split(":")[7] if invoked_arn.count(":") == 7 else ""


def _record(app: App, version: VersionIdentifier, data: list[Datum]) -> None:
    scope, now = Scope(version.account, version.region), time.time()
    for each in data:
        app.logs.metric(scope, metrics.NAMESPACE, each.name, each.value, each.unit, dict(each.dimensions), now)


def _stop_environments(_app: App, _original: Any) -> Any:
    def stop_environments_for_version(self: AssignmentService, version_manager_id: str) -> None:
        RETIRED.add(version_manager_id)
        POOLS.forget(version_manager_id)
        for environment in list(self.environments.get(version_manager_id, {}).values()):
            retire(self, environment)

    return stop_environments_for_version


def _destroy_cached(_app: App, original: Any) -> Any:
    def destroy_cached(self: S3Code) -> None:
        CODE_USERS.when_unused(self.id, partial(original, self))

    return destroy_cached


PATCHES = (
    Patch(
        S3Code,
        "destroy_cached",
        ("self",),
        _destroy_cached,
        why="The unpacked code of a version goes at once when the function is updated or deleted.",
        without="A call that runs meanwhile fails when it imports the next module of its code.",
    ),
    Patch(
        LambdaVersionManager,
        "invoke",
        ("self", "invocation"),
        _invoke,
        why="Every throttle is called one of reserved concurrency, and a configured environment counts as ready.",
        without="A throttled call has the wrong reason and no Retry-After, and no metric of concurrency is there.",
    ),
    Patch(
        AssignmentService,
        "stop_environments_for_version",
        ("self", "version_manager_id"),
        _stop_environments,
        why="An update or a deletion ends invocations that run, and lets environments go that are being started.",
        without="A call fails because somebody updates the function; what starts for a deleted function stays.",
    ),
)
