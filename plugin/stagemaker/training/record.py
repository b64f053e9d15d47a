"""How a training job's record, logs and metrics move with its progress. Statuses and messages are AWS's own."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from stagemaker.aws.cloudwatch import Logs
from stagemaker.core.refs import Scope
from stagemaker.core.store import Store
from stagemaker.runtime.hardware import HardwareLog
from stagemaker.training.plan import TrainingPlan

GROUP = "/aws/sagemaker/TrainingJobs"  # of logs, and the namespace of metrics
MATCHED_CHARS, MATCH_S = 4096, 0.1  # of a line, against a caller's regex that backtracks for ever
_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Stopping": "Stopping the training job",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
_TERMINAL = frozenset({"Completed", "Failed", "Stopped", "MaxRuntimeExceeded"})


def moment(epoch_s: float) -> datetime:
    """As answers carry it."""
    return datetime.fromtimestamp(epoch_s, UTC)


def first_status(now: float) -> dict[str, Any]:
    """What a new job's record holds of its progress."""
    return {
        "CreationTime": moment(now),
        "TrainingJobStatus": "InProgress",
        "LastModifiedTime": moment(now),
        "SecondaryStatus": "Starting",
        "SecondaryStatusTransitions": [_transition("Starting", now)],
    }


def next_status(
    record: Mapping[str, Any], status: str, secondary: str, failure: str | None, now: float, note: str = ""
) -> dict[str, Any]:
    """What changes in the record. The job is paid for from the start of the download to its end. `note` follows AWS's
    message of the step."""
    if status == "InProgress" and record["TrainingJobStatus"] == "Stopping":
        status = "Stopping"
    time = moment(now)
    *past, last = record["SecondaryStatusTransitions"]
    changes: dict[str, Any] = {
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "LastModifiedTime": time,
        "SecondaryStatusTransitions": [*past, {**last, "EndTime": time}, _transition(secondary, now, note)],
    }
    if secondary == "Downloading":
        changes["TrainingStartTime"] = time
    if failure:
        changes["FailureReason"] = failure
    if secondary in _TERMINAL:
        seconds = max(1, round((time - record.get("TrainingStartTime", time)).total_seconds()))
        changes["SecondaryStatusTransitions"][-1]["EndTime"] = time
        changes |= {"TrainingEndTime": time, "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    return changes


class TrainingBook:
    """See training_run.Book. `on_end` is called when the last status is written."""

    def __init__(
        self,
        store: Store,
        logs: Logs,
        clock: Callable[[], float],
        scope: Scope,
        plan: TrainingPlan,
        *,
        on_end: Callable[[], object],
    ) -> None:
        self._store, self._logs, self._clock = store, logs, clock
        self._scope, self._plan, self._on_end = scope, plan, on_end
        self._hosts: dict[str, HardwareLog] = {}

    def status(self, status: str, secondary: str, failure: str | None = None, note: str = "") -> None:
        """See Book. A job that was deleted meanwhile cannot be: it would have to have ended."""
        if secondary in _TERMINAL:
            self._logs.flush()  # whoever sees the end finds all of the logs
        with self._store.lock:
            record = self._store.get(self._scope, "training-job", self._plan.name) or {}
            changes = next_status(record, status, secondary, failure, self._clock(), note)
            self._store.update(self._scope, "training-job", self._plan.name, **changes)
            if secondary in _TERMINAL:
                self._on_end()

    def open(self, host: str) -> None:
        """See HostLogs."""
        stream = f"{self._plan.name}/{host}-{int(self._clock())}"
        self._hosts[host] = HardwareLog(host, self._logs.stream(self._scope, GROUP, stream))

    def begin(self, host: str, hardware: str) -> None:
        """See HostLogs."""
        self._hosts[host].begin(hardware)

    def on_line(self, host: str, line: str) -> None:
        """See HostLogs. The metrics of all hosts are the job's."""
        self._hosts[host].line(line)
        for metric in self._plan.metrics:
            try:
                found = metric.regex.search(line[:MATCHED_CHARS], timeout=MATCH_S, concurrent=True)
                value = float(found.group(1)) if found else None
            except (TimeoutError, TypeError, ValueError):  # or the group took no part in the match, or is no number
                value = None
            if value is not None and math.isfinite(value):  # CloudWatch takes neither NaN nor infinity
                self._measured(metric.name, value)

    def _measured(self, name: str, value: float) -> None:
        now = self._clock()
        self._logs.metric(self._scope, GROUP, name, value, "None", {"TrainingJobName": self._plan.name}, now)
        with self._store.lock:
            record = self._store.get(self._scope, "training-job", self._plan.name) or {}
            others = [datum for datum in record.get("FinalMetricDataList", []) if datum["MetricName"] != name]
            last = {"MetricName": name, "Value": value, "Timestamp": moment(now)}
            self._store.update(self._scope, "training-job", self._plan.name, FinalMetricDataList=[*others, last])


def _transition(secondary: str, now: float, note: str = "") -> dict[str, Any]:
    message = f"{_MESSAGES[secondary]} {note}".rstrip()
    return {"Status": secondary, "StartTime": moment(now), "StatusMessage": message}
