"""CloudWatch's alarms and metrics, for what Application Auto Scaling decides on them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope

POLICY = ":scalingPolicy:"  # in the ARN of a policy of Application Auto Scaling
MAX_NAMES = 100  # of DeleteAlarms


class CloudWatchAlarms:
    """Of each scope. Thread-safe; every call waits for CloudWatch. ApiError with the code
    FailedResourceAccessException for a call that CloudWatch does not take."""

    def __init__(self, clients: Callable[[str, Scope], Any]) -> None:
        self._clients = clients

    def put(self, scope: Scope, alarm: Mapping[str, Any]) -> str:
        """Create or replace an alarm; its ARN."""
        self._call(scope, "put_metric_alarm", **alarm)
        return scope.arn("cloudwatch", f"alarm:{alarm['AlarmName']}")

    def delete(self, scope: Scope, names: list[str]) -> None:
        """Delete alarms; those that are not there are no error."""
        for start in range(0, len(names), MAX_NAMES):
            self._call(scope, "delete_alarms", AlarmNames=names[start : start + MAX_NAMES])

    def with_actions(self, scope: Scope) -> list[dict[str, Any]]:
        """Every metric alarm of the scope that has an action of Application Auto Scaling."""
        alarms = self._call(scope, "describe_alarms")["MetricAlarms"]
        return [alarm for alarm in alarms if any(POLICY in action for action in alarm.get("AlarmActions", []))]

    def set_state(self, scope: Scope, name: str, state: str, reason: str) -> None:
        """Say what an alarm's state is now, and why."""
        self._call(scope, "set_alarm_state", AlarmName=name, StateValue=state, StateReason=reason)

    def points(self, scope: Scope, query: Mapping[str, Any], start_s: int, count: int) -> list[float | None]:
        """One value for each of `count` periods from `start_s` on, None for one without data. `query` is of
        GetMetricData, and has the period; `start_s` is where one begins."""
        period_s = query["MetricStat"]["Period"]
        answer = self._call(
            scope,
            "get_metric_data",
            MetricDataQueries=[query],
            StartTime=datetime.fromtimestamp(start_s, UTC),
            EndTime=datetime.fromtimestamp(start_s + count * period_s, UTC),
        )["MetricDataResults"][0]
        return in_periods(answer["Timestamps"], answer["Values"], start_s, period_s, count)

    def _call(self, scope: Scope, operation: str, **request: Any) -> Any:
        try:
            return getattr(self._clients("cloudwatch", scope), operation)(**request)
        except (BotoCoreError, ClientError) as error:
            raise ApiError("FailedResourceAccessException", f"CloudWatch does not take {operation}: {error}") from error


def in_periods(
    times: Sequence[datetime], values: Sequence[float], start_s: int, period_s: int, count: int
) -> list[float | None]:
    """The values, each in the place of its period; None where there is none."""
    found: list[float | None] = [None] * count
    for time, value in zip(times, values, strict=True):
        found[int(time.timestamp() - start_s) // period_s] = value
    return found
