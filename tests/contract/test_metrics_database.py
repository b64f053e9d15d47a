"""LocalStack's database of CloudWatch metrics: what it holds open."""

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from stagemaker.adapters.alarms import ClosedAfterUse
from tests.contract.gateway import Gateway, until


def connections(gateway: Gateway) -> int:
    """How many file descriptors of LocalStack's process are of the database."""
    found = 0
    for descriptor in Path(f"/proc/{gateway.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += descriptor.readlink().name == "metrics.db"
    return found


def test_a_metric_holds_no_file_descriptor(gateway: Gateway) -> None:
    cloudwatch = gateway.client("cloudwatch")
    for value in range(20):
        cloudwatch.put_metric_data(Namespace="Many", MetricData=[{"MetricName": "Held", "Value": float(value)}])
        cloudwatch.list_metrics(Namespace="Many")
    until(lambda: connections(gateway), lambda count: count == 0)  # others may tell a metric at this moment


def test_a_connection_commits_and_is_closed(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "file", factory=ClosedAfterUse) as first:
        first.execute("CREATE TABLE t (a)")
        first.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        first.execute("SELECT 1")
    with sqlite3.connect(tmp_path / "file", factory=ClosedAfterUse) as second:
        assert second.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_what_fails_is_not_committed_and_its_connection_is_closed(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "file", factory=ClosedAfterUse)
    with suppress(KeyError), connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        raise KeyError
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")
    with sqlite3.connect(tmp_path / "file", factory=ClosedAfterUse) as second:
        assert second.execute("SELECT a FROM t").fetchall() == []
