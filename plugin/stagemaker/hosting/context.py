"""What fleets work with, and what they need of the account and its logs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from stagemaker.core.credentials import Credentials
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.hosting.health import HealthTimes
from stagemaker.hosting.serverless import KEEP_WARM_S
from stagemaker.runtime.contract import Runtime


class FleetAccount(Protocol):
    """The part of `aws.account.Account` that fleets need."""

    def download_file(
        self, scope: Scope, uri: str, path: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None: ...
    def download_prefix(
        self, scope: Scope, uri: str, folder: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> int: ...
    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]: ...
    def role_credentials(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> Credentials: ...
    def under(self, role_arn: str, subnet: str = "") -> "FleetAccount": ...
    def check_pull(self, image: str) -> None: ...


class EndpointAccount(FleetAccount, Protocol):
    """The part of `aws.account.Account` that endpoints need."""

    def alarm_states(self, scope: Scope, names: Sequence[str]) -> Mapping[str, str]: ...
    def put_object(self, scope: Scope, uri: str, body: bytes) -> None: ...
    def under(self, role_arn: str, subnet: str = "") -> "EndpointAccount": ...


@dataclass(frozen=True)
class FleetContext:
    """What every fleet works with. `clock` is epoch seconds, for what is shown; `elapsed` are seconds that pass evenly
    even when the machine's clock is set, for time limits. `source_arn` is what the fleet belongs to: roles are assumed
    for it."""

    runtime: Runtime
    account: FleetAccount
    logs: RoleTelemetry
    clock: Callable[[], float]
    supervisor: Supervisor
    times: HealthTimes
    elapsed: Callable[[], float] = time.monotonic
    keep_warm_s: float = KEEP_WARM_S  # of `elapsed`: how long a serverless variant's container waits for a request
    source_arn: str = ""

    def under(self, role_arn: str, subnet: str = "") -> "FleetContext":
        """The same with the rights of a role, in the subnet with this id."""
        return replace(self, account=self.account.under(role_arn, subnet), logs=self.logs.under(role_arn))
