"""Follows a host to its end: its states, and its log, which it sends to S3 every few seconds."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from infra import wait
from infra.clients import Clients
from infra.ec2 import instances
from infra.ec2.outcome import Result, location, read_result
from infra.ec2.user_data import Run
from infra.errors import StepFailed
from infra.resources.resource import find

_POLL_S = 1.0  # at least: the log comes every ten seconds
_SPARE_S = 45 * 60  # besides the time to train: the host's own 30 minutes, and as much to boot as AWS ever takes
_SHUTDOWN_LIMIT_S = 300  # from the host's last word to its end
_GONE_LIMIT_S = 120  # (ours) EC2 lists an instance for an hour after its end, but may not know it for a moment
_CONSOLE_LINES = 30
_ENDING = ("shutting-down", "stopping")  # one that somebody ends still sends its checkpoint
_ENDED = ("terminated", "stopped")


class LogReader:
    """Gives each whole line of the host's log once. AWS's own console output lags behind by minutes, and instances
    that are not of the Nitro system have it only at boot, so that the log in S3 is read."""

    def __init__(self, s3: Any, uri: str, on_line: Callable[[str], None]) -> None:
        self._s3, self._uri, self._on_line = s3, uri, on_line
        self._offset, self._rest = 0, b""

    def read(self) -> None:
        """Pass on what is new."""
        size = find(self._s3.head_object, **location(self._uri))
        if size is None or size["ContentLength"] <= self._offset:
            return
        found = self._s3.get_object(**location(self._uri), Range=f"bytes={self._offset}-")
        new = found["Body"].read()
        self._offset += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))


def follow(
    clients: Clients, run: Run, instance_id: str, say: Callable[[str], None], show_line: Callable[[str], None]
) -> Result:
    """Follow a host until it is ended, and give its result. Terminates a host that outlives its time. Raises StepFailed
    for one that ended without a result, with the end of its console."""
    reader = LogReader(clients.s3, f"{run.results}/{instance_id}/host.log", show_line)
    began, told, result, ended_at = time.monotonic(), "", None, 0.0
    seen_at = began
    while True:
        found = instances.describe(clients.ec2, instance_id)
        if found:
            seen_at = time.monotonic()
        elif time.monotonic() - seen_at > _GONE_LIMIT_S:
            break
        state = found["State"]["Name"] if found else told or "pending"
        if state != told:
            say(f"The host {instance_id} is {state}.")
            told = state
        reader.read()
        if result is None and (result := read_result(clients.s3, run.results, instance_id)):
            reader.read()
            ended_at = time.monotonic()
        if state in _ENDED or (result and state in _ENDING):
            break
        late_s = time.monotonic() - (ended_at + _SHUTDOWN_LIMIT_S if result else began + run.limit_s + _SPARE_S)
        if late_s > 0:
            say("It has outlived its time, and is terminated.")
            instances.end(clients, instance_id)
        wait.pause(max(clients.poll_s, _POLL_S), "the host's end")
    reader.read()
    result = result or read_result(clients.s3, run.results, instance_id)
    if result is None:
        raise StepFailed(
            f"The EC2 host {instance_id} ended without a result{_state_reason(found)}.",
            "Run this again: it goes on from the last checkpoint, where there is one.",
            console(clients.ec2, instance_id) if found else (),
        )
    return result


def console(ec2: Any, instance_id: str) -> tuple[str, ...]:
    """The last lines of the instance's console, which boto3 has decoded; none where AWS has none."""
    output = str(ec2.get_console_output(InstanceId=instance_id).get("Output") or "")
    return tuple(output.splitlines()[-_CONSOLE_LINES:])


def _state_reason(instance: Mapping[str, Any] | None) -> str:
    if instance is None:
        return ": EC2 does not know it any more"
    reason = instance.get("StateReason") or {}
    return f": {reason.get('Message') or reason['Code']}" if reason else ""
