"""Batches of logs and metrics, against a CloudWatch that only remembers."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stagemaker.aws import cloudwatch as module
from stagemaker.aws import log_stream
from stagemaker.aws.cloudwatch import Logs
from stagemaker.aws.log_stream import Amount
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.polling import until


class Exists(Exception):
    """As boto3's modelled error."""


class Missing(Exception):
    """Likewise."""


class CloudWatch:
    """Both clients in one; `calls` are (operation, parameters)."""

    class exceptions:
        ResourceAlreadyExistsException = Exists
        ResourceNotFoundException = Missing

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.broken = self.deleted = False

    def __call__(self, service: str, scope: Scope) -> "CloudWatch":
        return self

    def __getattr__(self, operation: str) -> Any:
        def call(**parameters: Any) -> None:
            self.calls.append((operation, parameters))
            if operation == "create_log_group":
                self.deleted = False
                raise Exists
            if self.deleted and operation in ("put_log_events", "create_log_stream"):
                raise Missing
            if self.broken:
                raise OSError("gone")

        return call

    def called(self, operation: str) -> list[dict[str, Any]]:
        return [parameters for name, parameters in self.calls if name == operation]


@pytest.fixture
def cloudwatch(monkeypatch: pytest.MonkeyPatch) -> CloudWatch:
    monkeypatch.setattr(module, "FLUSH_S", 3600.0)  # only when the test says so
    return CloudWatch()


@pytest.fixture
def logs(cloudwatch: CloudWatch) -> Iterator[Logs]:
    supervisor = Supervisor()
    yield Logs(cloudwatch, FakeClock(100.5), supervisor)
    supervisor.close()


def new_stream(logs: Logs, cloudwatch: CloudWatch) -> Callable[[str], None]:
    """One that is there: lines go only when the test says so."""
    sink = logs.stream(SCOPE, "group", "stream")
    until(lambda: bool(cloudwatch.called("create_log_stream")), "the stream is created")
    return sink


def test_lines_leave_in_batches(logs: Logs, cloudwatch: CloudWatch) -> None:
    sink = new_stream(logs, cloudwatch)
    sink("one")
    sink("")
    assert cloudwatch.called("put_log_events") == []
    logs.flush()
    sink("three")
    logs.flush()
    assert len(cloudwatch.called("create_log_stream")) == 1
    first, second = cloudwatch.called("put_log_events")
    assert first["logEvents"] == [{"timestamp": 100_500, "message": "one"}, {"timestamp": 100_500, "message": " "}]
    assert [event["message"] for event in second["logEvents"]] == ["three"]


def test_a_stream_is_created_without_a_line_and_at_once(logs: Logs, cloudwatch: CloudWatch) -> None:
    new_stream(logs, cloudwatch)
    logs.flush()
    assert cloudwatch.called("create_log_stream") == [{"logGroupName": "group", "logStreamName": "stream"}]
    assert cloudwatch.called("put_log_events") == []


def test_no_batch_is_larger_than_cloudwatch_takes(logs: Logs, cloudwatch: CloudWatch) -> None:
    sink = new_stream(logs, cloudwatch)
    for _ in range(10_001):
        sink("x")
    for _ in range(5):
        sink("y" * 300_000)
    logs.flush()
    sizes = [len(batch["logEvents"]) for batch in cloudwatch.called("put_log_events")]
    assert sizes == [10_000, 4, 2]
    assert len(cloudwatch.called("put_log_events")[-1]["logEvents"][-1]["message"]) == 250_000


def test_points_of_a_metric_and_a_second_are_one_datum(logs: Logs, cloudwatch: CloudWatch) -> None:
    for value, second in ((1.0, 60.2), (1.0, 60.9), (2.0, 60.5), (1.0, 61.0)):
        logs.metric(SCOPE, "AWS/SageMaker", "Invocations", value, "Count", {"B": "2", "A": "1"}, second)
    logs.flush()
    (call,) = cloudwatch.called("put_metric_data")
    first, second = call["MetricData"]
    assert call["Namespace"] == "AWS/SageMaker"
    assert first["StatisticValues"] == {"SampleCount": 3, "Sum": 4.0, "Minimum": 1.0, "Maximum": 2.0}
    assert first["Dimensions"] == [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    assert (second["StatisticValues"]["Sum"], second["Timestamp"].timestamp()) == (1.0, 61)


def test_a_refused_batch_is_dropped_and_the_next_goes_on(logs: Logs, cloudwatch: CloudWatch) -> None:
    sink = new_stream(logs, cloudwatch)
    cloudwatch.broken = True
    sink("lost")
    logs.flush()
    cloudwatch.broken = False
    sink("kept")
    logs.flush()
    assert cloudwatch.called("put_log_events")[-1]["logEvents"][0]["message"] == "kept"


def test_a_deleted_group_is_made_again(logs: Logs, cloudwatch: CloudWatch) -> None:
    sink = new_stream(logs, cloudwatch)
    cloudwatch.deleted = True
    sink("kept")
    logs.flush()
    assert [name for name, _ in cloudwatch.calls[2:]] == [
        "put_log_events",
        "create_log_group",
        "create_log_stream",
        "put_log_events",
    ]
    assert cloudwatch.called("put_log_events")[-1]["logEvents"][0]["message"] == "kept"


def test_a_group_is_made_once_for_all_its_streams(logs: Logs, cloudwatch: CloudWatch) -> None:
    for name in ("one", "two"):
        logs.stream(SCOPE, "group", name)("line")
        logs.flush()
    assert cloudwatch.called("create_log_group") == [{"logGroupName": "group"}]
    cloudwatch.deleted = True
    logs.stream(SCOPE, "group", "three")("line")
    logs.flush()
    assert len(cloudwatch.called("create_log_group")) == 2
    assert cloudwatch.called("put_log_events")[-1]["logStreamName"] == "three"


def test_a_full_stream_sends_its_last_lines_with_a_count(
    logs: Logs, cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_stream, "STREAM_LIMIT", Amount(10, 1000))
    sink = new_stream(logs, cloudwatch)
    for number in range(1000):
        sink(str(number))
    logs.flush()
    (call,) = cloudwatch.called("put_log_events")
    sent = [event["message"] for event in call["logEvents"]]
    assert sent[:10] == [str(number) for number in range(10)]
    assert "890 lines were left out" in sent[10]
    assert sent[11:] == [str(number) for number in range(900, 1000)]


def test_no_caller_waits_while_cloudwatch_does_not_answer(cloudwatch: CloudWatch) -> None:
    """The Docker engine answers nothing about an ended container whose output is not read."""
    supervisor, answer = Supervisor(), threading.Event()

    def clients(service: str, scope: Scope) -> CloudWatch:
        answer.wait(60)
        return cloudwatch

    logs = Logs(clients, FakeClock(), supervisor)
    sink = logs.stream(SCOPE, "group", "stream")
    began_s = time.monotonic()
    for _ in range(100_000):
        sink("line")
    took_s = time.monotonic() - began_s
    answer.set()
    logs.flush()
    supervisor.close()
    assert took_s < 30
    assert sum(len(call["logEvents"]) for call in cloudwatch.called("put_log_events")) == 100_000


def test_a_flush_is_bounded_and_ends_with_the_stage(cloudwatch: CloudWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_WAIT_S", 0.1)
    supervisor, answer = Supervisor(tasks_wait_s=0.1), threading.Event()

    def clients(service: str, scope: Scope) -> CloudWatch:
        answer.wait(60)
        return cloudwatch

    logs = Logs(clients, FakeClock(), supervisor)
    logs.stream(SCOPE, "group", "stream")("line")
    logs.flush()
    monkeypatch.setattr(module, "FLUSH_WAIT_S", 3600.0)
    flushing = threading.Thread(target=logs.flush)
    flushing.start()
    supervisor.close()
    flushing.join(30)
    assert not flushing.is_alive()
    answer.set()


def test_a_short_stream_does_not_wait_for_a_long_one(logs: Logs, cloudwatch: CloudWatch) -> None:
    long = new_stream(logs, cloudwatch)
    for _ in range(25_000):
        long("line")
    logs.stream(SCOPE, "group", "short")("line")
    logs.flush()
    names = [call["logStreamName"] for call in cloudwatch.called("put_log_events")]
    assert names == ["stream", "short", "stream", "stream"]


def test_nothing_is_sent_after_close(cloudwatch: CloudWatch) -> None:
    supervisor = Supervisor()
    logs = Logs(cloudwatch, FakeClock(), supervisor)
    supervisor.close()
    logs.stream(SCOPE, "group", "stream")("last words")
    logs.flush()
    assert cloudwatch.calls == []
