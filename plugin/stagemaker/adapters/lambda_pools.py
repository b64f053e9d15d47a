"""The provisioned environments of the versions of functions.

LocalStack makes all of them anew for each new number, ends those at work, counts those that it ends as ready, and
refuses a number while another one is being reached.
"""

import logging
import threading
from concurrent.futures import Future, wait
from contextlib import suppress

from localstack.aws.api.lambda_ import ProvisionedConcurrencyStatusEnum
from localstack.services.lambda_.invocation.assignment import AssignmentService
from localstack.services.lambda_.invocation.execution_environment import (
    ExecutionEnvironment,
    InvalidStatusException,
    RuntimeStatus,
)
from localstack.services.lambda_.invocation.lambda_models import InitializationType, ProvisionedConcurrencyState
from localstack.services.lambda_.invocation.version_manager import LambdaVersionManager

from stagemaker.adapters.patches import RETIRED
from stagemaker.app import App

LOG = logging.getLogger(__name__)
PROVISIONED = InitializationType.provisioned_concurrency
_AT_WORK = (RuntimeStatus.READY, RuntimeStatus.INVOKING)
_INIT_FAILED = "FUNCTION_ERROR_INIT_FAILURE"  # Lambda's StatusReason


class Pool:
    """The provisioned environments of one version, brought to the number that is wanted by one thread at a time.
    Thread-safe. A number that is wanted while another one is being reached comes after it."""

    def __init__(self, app: App, manager: LambdaVersionManager) -> None:
        self._app, self._manager = app, manager
        self._lock = threading.Lock()
        self._wanted = 0
        self._runs = False

    def want(self, number: int) -> None:
        """Have so many environments, and return at once. Those at work end their invocation."""
        with self._lock:
            self._wanted = number
            self._describe(ProvisionedConcurrencyStatusEnum.IN_PROGRESS)
            if self._runs:
                return
            self._runs = True
        self._app.supervisor.follow(f"provisioned concurrency of {self._manager.function_arn}", self._run)

    def refill(self) -> None:
        """Replace those that are lost."""
        with self._lock:
            wanted = self._wanted
        self.want(wanted)

    def _run(self) -> None:
        while True:
            with self._lock:
                wanted = self._wanted
            try:
                is_reached = self._bring_to(wanted)
            except Exception:
                LOG.exception("provisioned concurrency of %s", self._manager.function_arn)
                is_reached = False
            with self._lock:
                if self._wanted == wanted:
                    status = ProvisionedConcurrencyStatusEnum
                    self._describe(status.READY if is_reached else status.FAILED)
                    self._runs = False
                    return

    def _bring_to(self, wanted: int) -> bool:
        """Whether all of them could be initialised."""
        service, manager = self._manager.assignment_service, self._manager
        there = sorted(provisioned(service, manager.id), key=lambda each: each.status == RuntimeStatus.INVOKING)
        for environment in there[: max(0, len(there) - wanted)]:  # those that wait before those at work
            retire(service, environment)
        made = [
            ExecutionEnvironment(manager.function_version, PROVISIONED, service.on_timeout, manager.id)
            for _ in range(wanted - len(there))
        ]
        service.environments[manager.id].update({each.id: each for each in made})
        starts = [service.provisioning_pool.submit(each.start) for each in made]
        wait(starts)
        failed = [each for each, start in zip(made, starts, strict=True) if not _succeeded(start)]
        for environment in failed:
            service.environments[manager.id].pop(environment.id, None)
        return not failed

    def _describe(self, status: ProvisionedConcurrencyStatusEnum) -> None:
        """As GetProvisionedConcurrencyConfig answers it."""
        manager = self._manager
        ready = ready_count(manager)
        reason = _INIT_FAILED if status == ProvisionedConcurrencyStatusEnum.FAILED else None
        with manager.provisioned_state_lock:
            manager.provisioned_state = (
                ProvisionedConcurrencyState(ready, ready, status, reason) if self._wanted else None
            )


class Pools:
    """Of all versions that ever had provisioned concurrency and are still there. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: dict[str, Pool] = {}

    def of(self, app: App, manager: LambdaVersionManager) -> Pool:
        """The version's pool, made when it is first asked for."""
        with self._lock:
            return self._pools.setdefault(manager.id, Pool(app, manager))

    def find(self, version_manager_id: str) -> Pool | None:
        """The version's pool, if it has one."""
        with self._lock:
            return self._pools.get(version_manager_id)

    def forget(self, version_manager_id: str) -> None:
        """The version has gone."""
        with self._lock:
            self._pools.pop(version_manager_id, None)


POOLS = Pools()


def provisioned(service: AssignmentService, version_manager_id: str) -> list[ExecutionEnvironment]:
    """The version's provisioned environments, also those that start."""
    found = list(service.environments.get(version_manager_id, {}).values())
    return [each for each in found if each.initialization_type == PROVISIONED]


def ready_count(manager: LambdaVersionManager) -> int:
    """How many of the version's provisioned environments are initialised."""
    return sum(each.status in _AT_WORK for each in provisioned(manager.assignment_service, manager.id))


def retire(service: AssignmentService, environment: ExecutionEnvironment) -> None:
    """Hand it out no more, and stop it: at once, or `is_retired` says so when its invocation has ended."""
    with environment.status_lock:
        service.environments.get(environment.version_manager_id, {}).pop(environment.id, None)
        if environment.status == RuntimeStatus.INVOKING:
            return
        if environment.status == RuntimeStatus.READY:
            environment.status = RuntimeStatus.TIMING_OUT  # nobody can reserve it any more
    with suppress(InvalidStatusException):
        environment.stop()


def is_retired(service: AssignmentService, environment: ExecutionEnvironment) -> bool:
    """Whether it must be stopped after its invocation."""
    version = environment.version_manager_id
    return version in RETIRED or environment.id not in service.environments.get(version, {})


def _succeeded(start: Future[None]) -> bool:
    return not start.cancelled() and start.exception() is None
