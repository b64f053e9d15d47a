"""What we change in LocalStack's CloudWatch Logs: it copies every event to list the groups, and keeps all that come."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from localstack.services.logs import provider
from moto.logs.models import LogStream, logs_backends

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


PATCHES: tuple[Patch, ...] = (
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
