"""CloudWatch Logs: followed while a job writes them, read for the reason of a failure, deleted at the end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.patience import message_of
from infra.resources.resource import Change, Resource, State, differences, error_code, is_missing
from infra.typed import make

_KEY = "kmsKeyId"
# How CloudWatch Logs says that a key's policy does not let it, or that there is no such key: as people have reported it
# (https://github.com/hashicorp/terraform-provider-aws/issues/29282), and as API_AssociateKmsKey has it.
_KEY_REFUSALS = ("AccessDeniedException", "InvalidParameterException")


class LogGroup(Resource):
    """A log group. AWS makes it with its first line, so a deployment makes only one that `key`, the ARN of a KMS key,
    encrypts; it deletes either at the end. `tags` are those of one that it makes."""

    def __init__(self, logs: Any, name: str, title: str, key: str = "", tags: Sequence[Mapping[str, str]] = ()) -> None:
        self._logs, self.name, self.title, self._key = logs, name, title, key
        self._tags = {tag["Key"]: tag["Value"] for tag in tags}

    def read(self) -> State | None:
        """DescribeLogGroups' answer for it."""
        found = self._logs.describe_log_groups(logGroupNamePrefix=self.name)["logGroups"]
        return next((group for group in found if group["logGroupName"] == self.name), None)

    def has_key(self) -> bool:
        """Whether it is there, and a KMS key encrypts it."""
        return bool((self.read() or {}).get(_KEY))

    def diff(self, state: State) -> list[Change]:
        """Its key."""
        return differences({_KEY: self._key or None}, state)

    def create(self) -> str:
        """Make it, empty. Raises StepFailed where CloudWatch Logs may not use the key."""
        with_key = {_KEY: self._key} if self._key else {}
        with_tags = {"tags": self._tags} if self._tags else {}
        self._with_key(lambda: self._logs.create_log_group(logGroupName=self.name, **with_key, **with_tags))
        return ""

    def update(self, state: State, changes: list[Change]) -> str:
        """Put its key, or take it off, for what is written from then on. Raises as `create`."""
        if self._key:
            self._with_key(lambda: self._logs.associate_kms_key(logGroupName=self.name, kmsKeyId=self._key))
        else:
            self._logs.disassociate_kms_key(logGroupName=self.name)
        return "for new lines, within 5 minutes"

    def delete(self) -> None:
        """Delete it with its streams."""
        self._logs.delete_log_group(logGroupName=self.name)

    def _with_key(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except ClientError as error:
            if not (error_code(error) in _KEY_REFUSALS and "specified KMS" in message_of(error)):
                raise
            raise StepFailed(
                f"CloudWatch Logs may not use the KMS key for the log group {self.name}: {message_of(error)}",
                f"The key's policy must let it: `{make('explain')} ROLE=key` has the statement, and says why.",
            ) from error


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
