"""CloudWatch Logs: followed while a job writes them, read for the reason of a failure, deleted at the end."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from infra.resources.resource import FixedResource, State, is_missing


class LogGroup(FixedResource):
    """A log group. AWS makes it with its first line, so a deployment does not create it, but deletes it at the end."""

    def __init__(self, logs: Any, name: str, title: str) -> None:
        self._logs, self.name, self.title = logs, name, title

    def read(self) -> State | None:
        """DescribeLogGroups' answer for it."""
        found = self._logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        return next((group for group in found if group["logGroupName"] == self.name), None)

    def create(self) -> str:
        """Make it, empty."""
        self._logs.create_log_group(logGroupName=self.name)
        return ""

    def delete(self) -> None:
        """Delete it with its streams."""
        self._logs.delete_log_group(logGroupName=self.name)


class Follower:
    """Gives each line of a group's streams once, in the order of each stream; `prefix` chooses the streams."""

    def __init__(self, logs: Any, group: str, prefix: str, on_line: Callable[[str], None]) -> None:
        self._logs, self._group, self._prefix, self._on_line = logs, group, prefix, on_line
        self._tokens: dict[str, str] = {}

    def read(self) -> int:
        """Passes on what is new; how many lines."""
        return sum(self._read_stream(name) for name in _streams(self._logs, self._group, self._prefix))

    def _read_stream(self, name: str) -> int:
        count = 0
        while True:
            token = {"nextToken": self._tokens[name]} if name in self._tokens else {}
            page = self._logs.get_log_events(logGroupName=self._group, logStreamName=name, startFromHead=True, **token)
            for event in page["events"]:
                self._on_line(event["message"].rstrip("\n"))
            count += len(page["events"])
            same = page["nextForwardToken"] == self._tokens.get(name)
            self._tokens[name] = page["nextForwardToken"]
            if same or not page["events"]:
                return count


def tail(logs: Any, group: str, prefix: str = "", count: int = 15) -> tuple[str, ...]:
    """The last lines of the group's streams together; none when there is no such group."""
    lines: list[str] = []
    Follower(logs, group, prefix, lines.append).read()
    return tuple(lines[-count:])


def delete_streams(logs: Any, group: str, prefix: str) -> int:
    """Delete the streams of a group that others use too; how many."""
    names = _streams(logs, group, prefix)
    for name in names:
        logs.delete_log_stream(logGroupName=group, logStreamName=name)
    return len(names)


def _streams(logs: Any, group: str, prefix: str) -> list[str]:
    request = {"logGroupName": group} | ({"logStreamNamePrefix": prefix} if prefix else {})
    try:
        pages = logs.get_paginator("describe_log_streams").paginate(**request)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except ClientError as error:
        if not is_missing(error):
            raise
        return []
