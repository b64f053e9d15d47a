"""CloudWatch Logs and Metrics in aggregated batches: a call costs LocalStack milliseconds, a line must cost nothing."""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor

LOG = logging.getLogger(__name__)
FLUSH_S = 1.0
MAX_BATCH_EVENTS, MAX_BATCH_BYTES, EVENT_OVERHEAD_BYTES = 10_000, 1_000_000, 26  # PutLogEvents' limits
MAX_EVENT_BYTES = 250_000
MAX_DATA, MAX_VALUES = 500, 150  # of PutMetricData, and of one datum's Values

_Stream = tuple[Scope, str, str]
_Event = dict[str, Any]
_Metric = tuple[Scope, str, str, str, tuple[tuple[str, str], ...], int]


class Logs:
    """Takes lines and data points at once and gives them to CloudWatch from a thread of its own. Thread-safe.

    `clients(service, scope)` makes boto3 clients; `clock` is epoch seconds. What CloudWatch refuses is reported in
    LocalStack's own log and dropped: no job fails for its logs.
    """

    def __init__(
        self, clients: Callable[[str, Scope], Any], clock: Callable[[], float], supervisor: Supervisor
    ) -> None:
        self._clients, self._clock = clients, clock
        self._lock, self._flushing, self._closed = threading.Lock(), threading.Lock(), threading.Event()
        self._wake = threading.Event()
        self._lines: dict[_Stream, list[_Event]] = {}
        self._data: dict[_Metric, dict[float, int]] = {}
        self._created: set[_Stream] = set()
        self._groups: set[tuple[Scope, str]] = set()
        supervisor.start("logs", self._run, cancel=self._end)

    def stream(self, scope: Scope, group: str, stream: str) -> Callable[[str], None]:
        """A sink for lines; group and stream are created at once in our thread: what is short does not wait for it."""
        key = (scope, group, stream)
        with self._lock:
            self._lines.setdefault(key, [])
        self._wake.set()

        def sink(line: str) -> None:
            text = line.encode()[:MAX_EVENT_BYTES].decode(errors="ignore") or " "  # CloudWatch takes no empty message
            event = {"timestamp": int(self._clock() * 1000), "message": text}
            with self._lock:
                self._lines.setdefault(key, []).append(event)

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
    ) -> None:
        """Count a data point; points of one metric and one second leave as one datum with values and counts."""
        key = (scope, namespace, name, unit, tuple(sorted(dimensions.items())), int(timestamp))
        with self._lock:
            counts = self._data.setdefault(key, defaultdict(int))
            counts[value] += 1

    def flush(self) -> None:
        """Send all that is there now; returns when it is sent. Nothing once the stage shuts down."""
        if self._closed.is_set():
            return
        with self._flushing:
            with self._lock:
                lines, self._lines = self._lines, {}
                data, self._data = self._data, {}
            for stream, events in lines.items():
                self._guard(self._send_lines, stream, events)
            for scope_and_namespace, metrics in groupby(sorted(data, key=_route), key=_route):
                self._guard(self._send_data, scope_and_namespace, [m for key in metrics for m in _data(key, data[key])])

    def _end(self) -> None:
        """Send no more: LocalStack answers 503 while it shuts down, and its CloudWatch ends with it."""
        self._closed.set()
        self._wake.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(FLUSH_S)
            self._wake.clear()
            self.flush()

    def _guard(self, send: Callable[..., None], *arguments: Any) -> None:
        if self._closed.is_set():
            return
        try:
            send(*arguments)
        except Exception:
            if not self._closed.is_set():
                LOG.exception("CloudWatch did not take a batch; it is dropped")

    def _send_lines(self, stream: _Stream, events: list[_Event]) -> None:
        scope, group, name = stream
        client = self._clients("logs", scope)
        if stream not in self._created:
            self._create(client, stream)
        for batch in _batches(events):
            try:
                client.put_log_events(logGroupName=group, logStreamName=name, logEvents=batch)
            except client.exceptions.ResourceNotFoundException:  # somebody has deleted it
                self._groups.discard((scope, group))
                self._create(client, stream)
                client.put_log_events(logGroupName=group, logStreamName=name, logEvents=batch)

    def _create(self, client: Any, stream: _Stream) -> None:
        """Make the stream, and first its group unless we made that before: a call that finds a group there is an error
        in LocalStack's log."""
        scope, group, name = stream
        if (scope, group) not in self._groups:
            _make(client, client.create_log_group, logGroupName=group)
            self._groups.add((scope, group))
        try:
            _make(client, client.create_log_stream, logGroupName=group, logStreamName=name)
        except client.exceptions.ResourceNotFoundException:  # somebody has deleted the group
            _make(client, client.create_log_group, logGroupName=group)
            _make(client, client.create_log_stream, logGroupName=group, logStreamName=name)
        self._created.add(stream)

    def _send_data(self, route: tuple[str, str, str], data: list[dict[str, Any]]) -> None:
        account, region, namespace = route
        client = self._clients("cloudwatch", Scope(account, region))
        for start in range(0, len(data), MAX_DATA):
            client.put_metric_data(Namespace=namespace, MetricData=data[start : start + MAX_DATA])


def _make(client: Any, create: Callable[..., Any], **names: str) -> None:
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        create(**names)


def _route(metric: _Metric) -> tuple[str, str, str]:
    return metric[0].account, metric[0].region, metric[1]


def _data(metric: _Metric, counts: Mapping[float, int]) -> Iterator[dict[str, Any]]:
    _, _, name, unit, dimensions, second = metric
    values = list(counts)
    for start in range(0, len(values), MAX_VALUES):
        some = values[start : start + MAX_VALUES]
        yield {
            "MetricName": name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
            "Timestamp": datetime.fromtimestamp(second, UTC),
            "Unit": unit,
            "Values": some,
            "Counts": [counts[value] for value in some],
        }


def _batches(events: list[_Event]) -> Iterator[list[_Event]]:
    batch: list[_Event] = []
    size = 0
    for event in events:
        cost = len(event["message"].encode()) + EVENT_OVERHEAD_BYTES
        if batch and (len(batch) == MAX_BATCH_EVENTS or size + cost > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += cost
    if batch:
        yield batch
