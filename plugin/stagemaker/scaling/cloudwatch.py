"""What scaling needs of CloudWatch."""

from collections.abc import Mapping
from typing import Any, Protocol

from stagemaker.core.refs import Scope


class CloudWatch(Protocol):
    """As `aws.alarms.CloudWatchAlarms` has it. Thread-safe. Each call waits for CloudWatch; ApiError with the code
    FailedResourceAccessException when it does not take one."""

    def put(self, scope: Scope, alarm: Mapping[str, Any]) -> str:
        """Create or replace an alarm, whose state is INSUFFICIENT_DATA then; its ARN."""

    def delete(self, scope: Scope, names: list[str]) -> None:
        """Delete alarms; those that are not there are no error."""

    def with_actions(self, scope: Scope) -> list[dict[str, Any]]:
        """Every metric alarm of the scope that has an action of Application Auto Scaling."""

    def set_state(self, scope: Scope, name: str, state: str, reason: str) -> None:
        """Say what an alarm's state is now, and why."""

    def points(self, scope: Scope, query: Mapping[str, Any], start_s: int, count: int) -> list[float | None]:
        """One value for each of `count` periods from `start_s` on, None for one without data. `query` is of
        GetMetricData, and has the period; `start_s` is where one begins."""
