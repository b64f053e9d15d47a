"""What we change in how LocalStack starts the execution environments of functions and hands them out.

It starts one at once for every call that finds none, has 20 s for each, and hands out those that were stopped while
they started: of many cold calls a part fails, and later calls with them.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from localstack.services.lambda_.invocation.assignment import AssignmentService
from localstack.services.lambda_.invocation.execution_environment import (
    ExecutionEnvironment,
    InvalidStatusException,
    RuntimeStatus,
)
from localstack.services.lambda_.invocation.lambda_models import FunctionVersion, InitializationType
from localstack.services.lambda_.invocation.runtime_executor import LambdaRuntimeException

from stagemaker.adapters.errors import exception
from stagemaker.adapters.lambda_executor import STARTS
from stagemaker.adapters.lambda_pools import POOLS, PROVISIONED, is_retired
from stagemaker.adapters.patches import RETIRED, Patch
from stagemaker.app import App
from stagemaker.core.errors import ApiError

LOG = logging.getLogger(__name__)
START_TIMEOUT_S = 600  # (ours) the limits of the environment come first: 10 s for its initialisation, the engine's own


def _get_environment(app: App, _original: Any) -> Any:
    app.supervisor.own(STARTS.close)

    @contextmanager
    def get_environment(
        self: AssignmentService,
        version_manager_id: str,
        function_version: FunctionVersion,
        provisioning_type: InitializationType,
    ) -> Iterator[ExecutionEnvironment]:
        environment = None
        if provisioning_type == PROVISIONED:
            environment = _idle(self, version_manager_id, PROVISIONED)  # none where one was lost
        if environment is None:
            environment = _take(self, version_manager_id, function_version)
        try:
            yield environment
        except Exception as error:
            LOG.error("Failed invocation %s: %s", type(error), error)
            self.stop_environment(environment)
            if environment.initialization_type == PROVISIONED and (pool := POOLS.find(version_manager_id)):
                pool.refill()
            raise
        _give_back(self, environment)

    return get_environment


def _give_back(service: AssignmentService, environment: ExecutionEnvironment) -> None:
    """After an invocation: to the next call, or to its end."""
    if environment.status != RuntimeStatus.INVOKING:  # it was stopped meanwhile
        return
    with suppress(InvalidStatusException):
        if is_retired(service, environment):
            environment.release()
            environment.stop()
        elif environment.initialization_type == PROVISIONED or not STARTS.offer(
            environment.version_manager_id, environment
        ):
            environment.release()
            if is_retired(service, environment):
                environment.stop()


def _take(service: AssignmentService, version_manager_id: str, version: FunctionVersion) -> ExecutionEnvironment:
    """One for this call alone: that waits, that another call has just left, or a new one."""
    try:
        environment = _idle(service, version_manager_id, InitializationType.on_demand) or STARTS.enter(
            version_manager_id
        )
    except ApiError as error:  # at our end
        raise exception(error) from error
    if environment is not None:
        return environment
    try:
        environment = _idle(service, version_manager_id, InitializationType.on_demand)  # since it was our turn
        if environment is None:
            environment = service.start_environment(version_manager_id, version)
            environment.reserve()  # before others see it
            service.environments[version_manager_id][environment.id] = environment
    finally:
        STARTS.leave()
    return environment


def _idle(service: AssignmentService, version_manager_id: str, kind: InitializationType) -> ExecutionEnvironment | None:
    for environment in list(service.environments[version_manager_id].values()):
        if environment.initialization_type == kind:
            with suppress(InvalidStatusException):
                environment.reserve()
                return environment
    return None


def _start(_app: App, original: Any) -> Any:
    def start(self: ExecutionEnvironment) -> None:
        if self.initialization_type == InitializationType.on_demand:  # it has its turn
            original(self)
            return
        with STARTS.turn():
            if self.version_manager_id in RETIRED:
                raise LambdaRuntimeException("The environment was stopped before it started.")
            original(self)

    return start


def _start_timeout(_app: App, _original: Any) -> Any:
    def _get_startup_timeout_seconds(self: ExecutionEnvironment) -> int:  # noqa: ARG001 - as the original
        return START_TIMEOUT_S

    return _get_startup_timeout_seconds


PATCHES = (
    Patch(
        AssignmentService,
        "get_environment",
        ("self", "version_manager_id", "function_version", "provisioning_type"),
        _get_environment,
        why="Every call that finds no environment starts one, all at once; others take it before its own call does.",
        without="Of 200 cold calls at once a third fails, since none is ready in time.",
    ),
    Patch(
        ExecutionEnvironment,
        "start",
        ("self",),
        _start,
        why="Provisioned environments start beside all others, and also when their version has gone meanwhile.",
        without="What a deleted function had provisioned runs on.",
    ),
    Patch(
        ExecutionEnvironment,
        "_get_startup_timeout_seconds",
        ("self",),
        _start_timeout,
        why="An environment that is not ready after 20 s is stopped, and is handed out all the same.",
        without="Calls get environments that are dead, on a machine that is busy.",
    ),
)
