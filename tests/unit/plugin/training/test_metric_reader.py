"""Metrics from lines, in a thread that holds nobody."""

import time
from collections.abc import Iterator

import pytest

from stagemaker.core.supervisor import Supervisor
from stagemaker.training import metric_reader as module
from stagemaker.training.metric_reader import MetricReader
from stagemaker.training.metrics import Metric, metric
from tests.unit.plugin.fakes import FakeClock

LOSS = metric({"Name": "loss", "Regex": r"loss=([0-9.]+)"})
ACCURACY = metric({"Name": "accuracy", "Regex": r"accuracy=([0-9.]+)"})
EVIL = metric({"Name": "evil", "Regex": r"((a|aa)+)$"})
EVIL_LINE = "a" * 100 + "b"

Found = list[tuple[str, float, float]]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


def reader(supervisor: Supervisor, *metrics: Metric) -> tuple[MetricReader, Found]:
    """A reader, and what it found."""
    found: Found = []
    return MetricReader(metrics, found.extend, FakeClock(7.0), supervisor), found


def test_values_come_in_order_with_the_moment_of_their_line(supervisor: Supervisor) -> None:
    reads, found = reader(supervisor, LOSS)
    for line in ("loss=1", "nothing", "loss=2"):
        reads.take(line)
    assert reads.finish() == []
    assert found == [("loss", 1.0, 7.0), ("loss", 2.0, 7.0)]


def test_without_metrics_there_is_no_thread(supervisor: Supervisor) -> None:
    reads, _ = reader(supervisor)
    reads.take("loss=1")
    assert supervisor.threads() == []
    assert reads.finish() == []


def test_an_ordinary_flood_loses_nothing(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue holds a tenth of it: the caller waits a moment for room."""
    monkeypatch.setattr(module, "QUEUE_CHARACTERS", 1 << 20)
    monkeypatch.setattr(module, "AFTER_S", 60.0)
    monkeypatch.setattr(module, "ROOM_WAIT_S", 60.0)
    reads, found = reader(supervisor, LOSS)
    for number in range(100_000):
        reads.take(f"step {number} loss={number} and more of an ordinary line")
    assert reads.finish(60.0) == []
    assert [value for _, value, _ in found] == list(range(100_000))


def test_a_slow_regex_holds_neither_its_caller_nor_the_end_nor_other_metrics(supervisor: Supervisor) -> None:
    reads, found = reader(supervisor, EVIL, ACCURACY)
    began_s = time.monotonic()
    for _ in range(1000):
        reads.take(EVIL_LINE)
    reads.take("accuracy=0.5")
    took_s = time.monotonic() - began_s
    (skipped,) = reads.finish(6.0)
    ended_s = time.monotonic() - began_s
    assert took_s < 20
    assert ended_s < 60  # three seconds, on a machine that is not busy
    assert skipped.startswith("metric evil: 1001 lines were not matched")
    assert found == [("accuracy", 0.5, 7.0)]


def test_a_full_queue_is_waited_for_once(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUEUE_CHARACTERS", 10_000)
    monkeypatch.setattr(module, "ROOM_WAIT_S", 0.2)
    reads, _ = reader(supervisor, EVIL)
    began_s = time.monotonic()
    for _ in range(2000):
        reads.take(EVIL_LINE)
    took_s = time.monotonic() - began_s
    (sentence,) = reads.finish(0)
    assert took_s < 20
    assert sentence.startswith("metric evil: 2000 lines were not matched")
