"""What fleets work with, and what they need of the account and its logs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting.health import HealthTimes
from stagemaker.runtime.contract import Runtime


class FleetAccount(Protocol):
    """The part of `aws.account.Account` that fleets need."""

    def download_file(self, scope: Scope, uri: str, path: Path) -> None: ...
    def download_prefix(self, scope: Scope, uri: str, folder: Path) -> int: ...
    def role_environment(self, scope: Scope, role_arn: str) -> dict[str, str]: ...


class FleetLogs(Protocol):
    """The part of `aws.cloudwatch.Logs` that hosting needs."""

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]: ...
    def flush(self) -> None: ...
    def metric(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        timestamp: float,
    ) -> None: ...


@dataclass(frozen=True)
class FleetContext:
    """What every fleet works with. `clock` is epoch seconds."""

    runtime: Runtime
    account: FleetAccount
    logs: FleetLogs
    clock: Callable[[], float]
    supervisor: Supervisor
    times: HealthTimes
