"""Pure: what waits for the instances of one asynchronous endpoint, and what they are at work on."""

from collections import deque

from stagemaker.core.errors import ApiError
from stagemaker.hosting.async_request import AsyncRequest

MOST_QUEUED = 10_000  # (ours) requests of one endpoint that wait
MOST_BYTES = 64 << 20  # (ours) of their bodies: inputs in S3 count nothing
MOST_IN_WORK = 128  # (ours) of one endpoint, whatever its instances could do: each has a thread


class AsyncQueue:
    """Oldest first. One thread at a time."""

    def __init__(self) -> None:
        self._waiting: deque[AsyncRequest] = deque()
        self._bytes = 0
        self.in_work = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def backlog(self) -> int:
        """Those that wait and those in work: AWS's ApproximateBacklogSize."""
        return len(self._waiting) + self.in_work

    def add(self, request: AsyncRequest) -> None:
        """The newest. ServiceUnavailable (503) when there are too many."""
        size_bytes = self._bytes + len(request.body)
        if len(self._waiting) >= MOST_QUEUED or size_bytes > MOST_BYTES:
            raise ApiError("ServiceUnavailable", "Too many requests wait for this endpoint: try again later.", 503)
        self._waiting.append(request)
        self._bytes = size_bytes

    def begin(self) -> AsyncRequest | None:
        """Take the oldest into work; None when none waits, or enough are in work."""
        if not self._waiting or self.in_work >= MOST_IN_WORK:
            return None
        request = self._waiting.popleft()
        self._bytes -= len(request.body)
        self.in_work += 1
        return request

    def put_back(self, request: AsyncRequest) -> None:
        """Nothing came of the work on it: it is the oldest again."""
        self.in_work -= 1
        self._waiting.appendleft(request)
        self._bytes += len(request.body)

    def end(self) -> None:
        """Of one in work."""
        self.in_work -= 1

    def begin_expired(self, now_s: float) -> AsyncRequest | None:
        """As `begin`, with the oldest of those that nobody began with in time."""
        expired = next((request for request in self._waiting if request.expires_s <= now_s), None)
        if expired is None or self.in_work >= MOST_IN_WORK:
            return None
        self._waiting.remove(expired)
        self._waiting.appendleft(expired)
        return self.begin()

    def oldest_s(self, now_s: float) -> float:
        """How long the oldest has waited; 0 when none waits."""
        return max(0.0, now_s - self._waiting[0].queued_s) if self._waiting else 0.0
