"""The live table."""

from collections import Counter

from infra.load.generator import Progress
from infra.load.live import HEADER, rows
from infra.load.observe import Observation, Seen
from tests.unit.infra.load.fakes import HIGH, LOW


def test_a_row_for_each_count_each_failure_and_each_alarm() -> None:
    progress = Progress(12.3, 1200, 1100, 1000, Counter(ModelError=60, Timeout=30), 100, [0.010, 0.020, 0.500])
    seen = Seen(
        (Observation(11, "Updating", 1, 3, {HIGH: "ALARM", LOW: "OK"}),), compressed="time is compressed 12 times"
    )
    found = rows(progress, seen)
    assert found == [
        ("Second", "12"),
        ("Due", "1,200"),
        ("Sent", "1,100"),
        ("Answered", "1,000"),
        ("Failed: ModelError", "60"),
        ("Failed: Timeout", "30"),
        ("Not sent", "100"),
        ("Latency, last 10 s", "p50 20 ms, p95 500 ms, p99 500 ms"),
        ("Instances", "1 of 3 (Updating)"),
        ("AlarmHigh", "ALARM"),
        ("AlarmLow", "OK"),
        ("", "time is compressed 12 times"),
    ]
    assert all(len(row) == len(HEADER) for row in found)


def test_before_anything_is_known() -> None:
    found = {row[0]: row[1] for row in rows(Progress(0, 0, 0, 0, Counter(), 0, []), Seen())}
    assert found["Latency, last 10 s"] == "nothing was answered"
    assert "Instances" not in found
