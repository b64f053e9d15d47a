"""Where lines and measurements go: what every part that runs something needs of `aws.cloudwatch.Logs`."""

from collections.abc import Callable, Mapping
from typing import Protocol

from stagemaker.core.refs import Scope


class Telemetry(Protocol):
    """Thread-safe; it takes what it gets at once and sends it later."""

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]:
        """A sink for the lines of one log stream, which is created with its group if need be."""

    def flush(self) -> None:
        """Send all that is there now; returns when it is sent."""

    def metric(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        timestamp: float,
    ) -> None:
        """One value of a metric; `timestamp` in epoch seconds."""


class RoleTelemetry(Telemetry, Protocol):
    """What can also be sent with the rights of a role."""

    def under(self, role_arn: str) -> "RoleTelemetry":
        """The same, sent with these rights: what they do not allow is reported and dropped."""
