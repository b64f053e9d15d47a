"""LocalStack's CloudWatch, where Application Auto Scaling works with it: who evaluates an alarm, which data points
belong to a metric, and what its database of metrics holds open."""

import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

from localstack.services.cloudwatch import alarm_scheduler, cloudwatch_database_helper, provider_v2
from localstack.services.cloudwatch.alarm_scheduler import AlarmScheduler
from localstack.services.cloudwatch.cloudwatch_database_helper import CloudwatchDatabase

from stagemaker.adapters.patches import Patch
from stagemaker.app import App
from stagemaker.aws.alarms import POLICY


def scales(alarm: Mapping[str, Any] | None) -> bool:
    """Whether an action of the alarm is a policy of Application Auto Scaling: then the stage evaluates it."""
    return alarm is not None and any(POLICY in action for action in alarm.get("AlarmActions", []))


class ExactDimensions:
    """LocalStack's database of metrics, but that a metric has exactly the dimensions that are asked for."""

    def __init__(self, database: CloudwatchDatabase) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def _get_ordered_dimensions_with_separator(self, dims: list[dict[str, str]], **_: bool) -> Any:
        return self._database._get_ordered_dimensions_with_separator(dims)


class ClosedAfterUse(sqlite3.Connection):
    """A connection whose `with` statement closes it, and does not only commit."""

    def __exit__(self, *error: Any) -> Any:
        with closing(self):
            return super().__exit__(*error)


def _closed(_app: App, original: Any) -> Any:
    return SimpleNamespace(connect=partial(original.connect, factory=ClosedAfterUse))


def _schedule(_app: App, original: Any) -> Any:
    # It warns that nothing is triggered, of actions that the stage takes.
    logging.getLogger(provider_v2.__name__).addFilter(lambda record: POLICY not in record.getMessage())

    def schedule_metric_alarm(self: AlarmScheduler, alarm_arn: str) -> None:
        if scales(alarm_scheduler.get_metric_alarm_details_for_alarm_arn(alarm_arn)):
            self.delete_scheduler_for_alarm(alarm_arn)
        else:
            original(self, alarm_arn)

    return schedule_metric_alarm


def _exact(_app: App, original: Any) -> Any:
    def get_metric_data_stat(self: CloudwatchDatabase, *arguments: Any, **named: Any) -> Any:
        return original(ExactDimensions(self), *arguments, **named)

    return get_metric_data_stat


def _indexed(_app: App, original: Any) -> Any:
    def add_metric_data(self: CloudwatchDatabase, *arguments: Any, **named: Any) -> None:
        if self not in indexed:
            indexed.add(self)
            with self.DATABASE_LOCK, closing(sqlite3.connect(self.METRICS_DB)) as connection, connection:
                for table in (self.TABLE_SINGLE_METRICS, self.TABLE_AGGREGATED_METRICS):
                    columns = f'"{table}" (metric_name, namespace, timestamp)'
                    connection.execute(f'CREATE INDEX IF NOT EXISTS "stagemaker_{table}" ON {columns}')
        original(self, *arguments, **named)

    indexed: WeakSet[CloudwatchDatabase] = WeakSet()
    return add_metric_data


PATCHES = (
    Patch(
        AlarmScheduler,
        "schedule_metric_alarm",
        ("self", "alarm_arn"),
        _schedule,
        why="LocalStack evaluates each alarm itself, once in all of its periods.",
        without="The alarms of scaling policies have two evaluators, which contradict each other.",
    ),
    Patch(
        CloudwatchDatabase,
        "get_metric_data_stat",
        ("self", "account_id", "region", "query", "start_time", "end_time", "scan_by"),
        _exact,
        why="A metric is found by dimensions that only begin with what is asked for.",
        without="The metrics of the endpoint `a` have those of `ab` in them, and of all with more dimensions.",
    ),
    Patch(
        CloudwatchDatabase,
        "add_metric_data",
        ("self", "account_id", "region", "namespace", "metric_data"),
        _indexed,
        why="Its indexes leave out the time: to read a minute of a metric, all that was ever told of it is read.",
        without="After a day of calls, scaling reads for seconds, and nobody else gets at CloudWatch meanwhile.",
    ),
    Patch(
        cloudwatch_database_helper,
        "sqlite3",
        None,
        _closed,
        why="It closes no connection to its database; each keeps a descriptor until the garbage collector finds it.",
        without="Every metric that is told holds a file descriptor for minutes, and some hold it for ever.",
    ),
)
