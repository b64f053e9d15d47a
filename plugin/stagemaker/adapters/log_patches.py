"""What we change in LocalStack's CloudWatch Logs: it copies every event to list the groups, keeps all that come, and
gives no key to a group that is there."""

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from localstack.aws.api import RequestContext
from localstack.aws.api.logs import ResourceNotFoundException
from localstack.services.logs import provider
from localstack.services.logs.provider import LogsProvider
from moto.logs.models import LogGroup, LogStream, logs_backends

from stagemaker.adapters.patches import Patch
from stagemaker.app import App
from stagemaker.aws.log_stream import Amount

EVENT_BYTES = 200  # what an event takes in memory besides its text
LIMIT = Amount(5_000_000, 640 << 20)  # (ours) of all streams; more than the stage itself writes


class ShallowCopy:
    """In place of the module `copy`: LocalStack copies dictionaries, and changes only the copy."""

    @staticmethod
    def deepcopy(value: dict[str, Any]) -> dict[str, Any]:
        """One that can be read while the original changes. Its values are the same."""
        return dict(value)


class KeptEvents:
    """Bounds the events of all streams together: above `limit` the fullest stream loses its older half, until a quarter
    of the room is free. Thread-safe."""

    def __init__(self, streams: Callable[[], Iterable[LogStream]], limit: Amount) -> None:
        self._streams, self._limit = streams, limit
        self._amount, self._lock = Amount(), threading.Lock()

    def added(self, events: Iterable[dict[str, Any]]) -> None:
        """Say, after it, that a stream has taken events."""
        with self._lock:
            for event in events:
                self._amount.add(event["message"])
            if self._amount.reaches(self._limit):
                self._make_room()

    def _make_room(self) -> None:
        streams = [stream for stream in self._streams() if stream.events]  # those that were deleted are none any more
        enough = Amount(self._limit.lines * 3 // 4, self._limit.characters * 3 // 4)
        self._amount = Amount(sum(len(each.events) for each in streams), sum(each.stored_bytes for each in streams))
        while streams and self._amount.reaches(enough):
            fullest = max(streams, key=_size_bytes)
            oldest = fullest.events[: (len(fullest.events) + 1) // 2]
            characters = sum(len(event.message) for event in oldest)
            del fullest.events[: len(oldest)]
            fullest.stored_bytes -= characters
            self._amount = Amount(self._amount.lines - len(oldest), self._amount.characters - characters)
            streams = [stream for stream in streams if stream.events]


def _size_bytes(stream: LogStream) -> int:
    return len(stream.events) * EVENT_BYTES + int(stream.stored_bytes)


def _all_streams() -> Iterator[LogStream]:
    for regions in list(logs_backends.values()):
        for backend in list(regions.values()):
            for group in list(backend.groups.values()):
                yield from list(group.streams.values())


def _shallow_copy(_app: App, _original: Any) -> Any:
    return ShallowCopy


def _put_log_events(_app: App, original: Any) -> Any:
    kept = KeptEvents(_all_streams, LIMIT)

    def put_log_events(self: LogStream, log_events: list[dict[str, Any]]) -> Any:
        token = original(self, log_events)
        kept.added(log_events)
        return token

    return put_log_events


def _associate(_app: App, original: Any) -> Any:
    @wraps(original)
    def associate_kms_key(
        self: LogsProvider, context: RequestContext, kms_key_id: str, log_group_name: str | None = None, **kwargs: Any
    ) -> None:
        if log_group_name is None:  # the results of queries, which nobody makes here
            original(self, context, kms_key_id, **kwargs)
        else:
            _group(context, log_group_name).kms_key_id = kms_key_id

    return associate_kms_key


def _disassociate(_app: App, original: Any) -> Any:
    @wraps(original)
    def disassociate_kms_key(
        self: LogsProvider, context: RequestContext, log_group_name: str | None = None, **kwargs: Any
    ) -> None:
        if log_group_name is None:
            original(self, context, **kwargs)
        else:
            _group(context, log_group_name).kms_key_id = None

    return disassociate_kms_key


def _group(context: RequestContext, name: str) -> LogGroup:
    group = logs_backends[context.account_id][context.region].groups.get(name)
    if group is None:
        raise ResourceNotFoundException("The specified log group does not exist.")
    return group


PATCHES: tuple[Patch, ...] = (
    *(
        Patch(
            LogsProvider,
            f"{verb}_kms_key",
            ("self", "context", *key, "log_group_name", "resource_identifier", "kwargs"),
            make,
            why="Moto has no such operation, and shows the key that a group was made with.",
            without="Another key of a log group is 501, and a deployment cannot put it right.",
        )
        for verb, key, make in (("associate", ("kms_key_id",), _associate), ("disassociate", (), _disassociate))
    ),
    Patch(
        provider,
        "copy",
        None,
        _shallow_copy,
        why="DescribeLogGroups and ListLogGroups copy all groups, with every event of every stream, and each twice.",
        without="400,000 events make it take 19 s and 200 MB.",
    ),
    Patch(
        LogStream,
        "put_log_events",
        ("self", "log_events"),
        _put_log_events,
        why="Events stay in memory until LocalStack ends, however many come.",
        without="A container that calls PutLogEvents without end fills LocalStack's memory.",
    ),
)
