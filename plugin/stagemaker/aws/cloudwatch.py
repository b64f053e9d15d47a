"""CloudWatch Logs and Metrics in aggregated batches: a call costs LocalStack milliseconds, a line must cost nothing."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from botocore.exceptions import ClientError

from stagemaker.aws.log_stream import Amount, Event, StreamLines
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor

LOG = logging.getLogger(__name__)
FLUSH_S = 1.0
FLUSH_WAIT_S = 5.0  # (ours) of one `flush`: about 200,000 lines
MAX_EVENT_BYTES = 250_000
MAX_DATA = 500  # of PutMetricData

DENIED = ("AccessDeniedException", "AccessDenied")
_MOST_TOLD = 1000  # (ours) refusals that are remembered, so that each is reported once

_Clients = Callable[[str, Scope], Any]
_Metric = tuple[Scope, str, str, str, str, tuple[tuple[str, str], ...], int]  # its role before its namespace


class _Stream:
    """A log stream with its lines, written under a role. `sent` counts its events that CloudWatch took or refused."""

    def __init__(self, scope: Scope, role_arn: str, group: str, name: str, total: Amount) -> None:
        self.scope, self.role_arn, self.group, self.name = scope, role_arn, group, name
        self.lines = StreamLines(total)
        self.sent = 0
        self.created = False


class Logs:
    """Takes lines and data points at once and gives them to CloudWatch from a thread of its own. Thread-safe.

    `clients(service, scope)` makes boto3 clients, `role_clients` gives those of a role; `clock` is epoch seconds. What
    CloudWatch refuses is reported in LocalStack's own log and dropped: no job fails for its logs. No caller waits for
    CloudWatch, but in `flush`: the Docker engine answers nothing about a container that has ended before all of its
    output is read.
    """

    def __init__(
        self,
        clients: _Clients,
        clock: Callable[[], float],
        supervisor: Supervisor,
        role_clients: Callable[[str], _Clients] | None = None,
    ) -> None:
        self._own_clients, self._role_clients, self._clock = clients, role_clients, clock
        self._told: set[str] = set()
        self._closed, self._wake = threading.Event(), threading.Event()
        self._changed = threading.Condition()  # with the lock of all that follows
        self._total = Amount()
        self._waiting: dict[_Stream, None] = {}  # those that are not created, or have lines
        self._data: dict[_Metric, dict[float, int]] = {}
        self._turns_begun = self._turns_ended = 0
        self._groups: set[tuple[Scope, str]] = set()  # for our thread
        supervisor.start("logs", self._run, cancel=self._end)

    def under(self, role_arn: str) -> "RoleLogs":
        """These, sent with the rights of the role."""
        return RoleLogs(self, role_arn)

    def stream(self, scope: Scope, group: str, stream: str, role_arn: str = "") -> Callable[[str], None]:
        """A sink for lines; group and stream are created at once in our thread: what is short does not wait for it."""
        made = _Stream(scope, role_arn, group, stream, self._total)
        with self._changed:
            self._waiting[made] = None
        self._wake.set()

        def sink(line: str) -> None:
            message = _message(line)
            with self._changed:
                if not self._closed.is_set():
                    made.lines.add(message, self._now_ms())
                    self._waiting[made] = None

        return sink

    def metric(
        self,
        scope: Scope,
        namespace: str,
        name: str,
        value: float,
        unit: str,
        dimensions: Mapping[str, str],
        timestamp: float,
        role_arn: str = "",
    ) -> None:
        """Count a data point; points of one metric and one second leave as one datum."""
        key = (scope, role_arn, namespace, name, unit, tuple(sorted(dimensions.items())), int(timestamp))
        with self._changed:
            counts = self._data.setdefault(key, defaultdict(int))
            counts[value] += 1

    def flush(self) -> None:
        """Send all that is there now, the last lines of full streams too; returns when it is sent, or after
        FLUSH_WAIT_S: the rest follows. Nothing once the stage shuts down."""
        with self._changed:
            for stream in self._waiting:
                stream.lines.tell()
            wanted = {stream: stream.lines.queued for stream in self._waiting}
            turn = self._turns_begun + 1

            def is_sent() -> bool:
                sent = self._turns_ended >= turn and all(stream.sent >= count for stream, count in wanted.items())
                return sent or self._closed.is_set()

            self._wake.set()
            self._changed.wait_for(is_sent, FLUSH_WAIT_S)

    def _end(self) -> None:
        """Send no more: LocalStack answers 503 while it shuts down, and its CloudWatch ends with it."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
        self._wake.set()

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _run(self) -> None:
        more = False
        while not self._closed.is_set():
            if not more:
                self._wake.wait(FLUSH_S)
                self._wake.clear()
            more = self._turn()

    def _turn(self) -> bool:
        """Send all data points, and one batch of each stream, so that none waits for a long one; whether any stream has
        more."""
        with self._changed:
            self._turns_begun += 1
            data, self._data = self._data, {}
            batches = [(stream, self._take(stream)) for stream in list(self._waiting)]
            more = any(stream.lines.queued > stream.lines.taken for stream in self._waiting)
        for scope_and_namespace, metrics in groupby(sorted(data, key=_route), key=_route):
            self._guard(self._send_data, scope_and_namespace, [_datum(key, data[key]) for key in metrics])
        for stream, batch in batches:
            self._guard(self._send_lines, stream, batch)
            with self._changed:
                stream.sent += len(batch)
                self._changed.notify_all()
        with self._changed:
            self._turns_ended += 1
            self._changed.notify_all()
        return more

    def _take(self, stream: _Stream) -> list[Event]:
        stream.lines.tell_when_due(self._now_ms())
        batch = stream.lines.take()
        if stream.lines.is_empty:
            del self._waiting[stream]
        return batch

    def _guard(self, send: Callable[..., None], *arguments: Any) -> None:
        if self._closed.is_set():
            return
        try:
            send(*arguments)
        except Exception as error:  # noqa: BLE001 - it is reported
            if not self._closed.is_set():
                self._report(error)

    def _report(self, error: Exception) -> None:
        """A role that lacks a right lacks it for each batch."""
        if not is_denied(error):
            LOG.error("CloudWatch did not take a batch; it is dropped", exc_info=error)
        elif str(error) not in self._told:
            self._told = {*(self._told if len(self._told) < _MOST_TOLD else ()), str(error)}
            LOG.warning("CloudWatch did not take what a role sends; it is dropped: %s", error)

    def _clients(self, service: str, scope: Scope, role_arn: str) -> Any:
        clients = self._role_clients(role_arn) if role_arn and self._role_clients else self._own_clients
        return clients(service, scope)

    def _send_lines(self, stream: _Stream, batch: list[Event]) -> None:
        client = self._clients("logs", stream.scope, stream.role_arn)
        if not stream.created:
            self._create(client, stream)
        if not batch:
            return
        events = [{"timestamp": moment_ms, "message": message} for moment_ms, message in batch]
        names = {"logGroupName": stream.group, "logStreamName": stream.name}
        try:
            client.put_log_events(**names, logEvents=events)
        except client.exceptions.ResourceNotFoundException:  # somebody has deleted it
            self._groups.discard((stream.scope, stream.group))
            self._create(client, stream)
            client.put_log_events(**names, logEvents=events)

    def _create(self, client: Any, stream: _Stream) -> None:
        """Make the stream, and first its group unless we made that before: a call that finds a group there is an error
        in LocalStack's log."""
        scope, group, name = stream.scope, stream.group, stream.name
        if (scope, group) not in self._groups:
            try:
                _make(client, client.create_log_group, logGroupName=group)
                self._groups.add((scope, group))
            except ClientError as error:
                if not is_denied(error):  # a role that may only write into a group that is there
                    raise
        try:
            _make(client, client.create_log_stream, logGroupName=group, logStreamName=name)
        except client.exceptions.ResourceNotFoundException:  # somebody has deleted the group
            _make(client, client.create_log_group, logGroupName=group)
            _make(client, client.create_log_stream, logGroupName=group, logStreamName=name)
        stream.created = True

    def _send_data(self, route: tuple[str, str, str, str], data: list[dict[str, Any]]) -> None:
        account, region, role_arn, namespace = route
        client = self._clients("cloudwatch", Scope(account, region), role_arn)
        for start in range(0, len(data), MAX_DATA):
            client.put_metric_data(Namespace=namespace, MetricData=data[start : start + MAX_DATA])


class RoleLogs:
    """`Logs` with the rights of one role. Thread-safe."""

    def __init__(self, logs: Logs, role_arn: str) -> None:
        self._logs, self._role_arn = logs, role_arn
        self.flush, self.under = logs.flush, logs.under

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]:
        """As that of `Logs`."""
        return self._logs.stream(scope, group, stream, self._role_arn)

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
        """As that of `Logs`."""
        self._logs.metric(scope, namespace, name, value, unit, dimensions, timestamp, self._role_arn)


def is_denied(error: Exception) -> bool:
    """Whether CloudWatch says that the caller may not do this."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in DENIED


def _message(line: str) -> str:
    """As CloudWatch takes it: not empty, and not too long."""
    if len(line) * 4 > MAX_EVENT_BYTES:
        line = line.encode()[:MAX_EVENT_BYTES].decode(errors="ignore")
    return line or " "


def _make(client: Any, create: Callable[..., Any], **names: str) -> None:
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        create(**names)


def _route(metric: _Metric) -> tuple[str, str, str, str]:
    return metric[0].account, metric[0].region, metric[1], metric[2]


def _datum(metric: _Metric, counts: Mapping[float, int]) -> dict[str, Any]:
    """All points of a second as one row of LocalStack's database, which would keep a row for each value: to read a
    metric would take longer with every call of an endpoint."""
    *_, name, unit, dimensions, second = metric
    return {
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
        "Timestamp": datetime.fromtimestamp(second, UTC),
        "Unit": unit,
        "StatisticValues": {
            "SampleCount": sum(counts.values()),
            "Sum": sum(value * count for value, count in counts.items()),
            "Minimum": min(counts),
            "Maximum": max(counts),
        },
    }
