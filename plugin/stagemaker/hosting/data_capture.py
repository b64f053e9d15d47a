"""Data capture: invocations of a fleet wait in memory until a task writes them to S3, a file for each batch.

Whoever answers a call only hands over what he has: no call waits for S3, and none fails because of it.
"""

import logging
import random
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Protocol

from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor, Task
from stagemaker.hosting.calls import PASSED_ON, ContainerCall
from stagemaker.hosting.capture import CaptureConfig, Captured, Payload, by_file, lines
from stagemaker.hosting.http_client import Reply

LOG = logging.getLogger(__name__)
# All of these are ours.
FLUSH_S = 5.0  # an invocation waits no longer
FLUSH_BYTES = 8 << 20  # nor when so much waits
MAX_WAITING_BYTES = 32 << 20  # of a fleet; what is over is dropped
OVERHEAD_BYTES = 1024  # of an invocation, beside its bodies
END_WAIT_S = 60.0  # for S3 to take the last files of a fleet


class CaptureAccount(Protocol):
    """The part of `aws.account.Account` that data capture needs."""

    def put_object(self, scope: Scope, uri: str, body: bytes) -> None: ...


class DataCapture:
    """Of one fleet. Thread-safe. `start` it, and `end` it when the fleet has stopped.

    `sample` gives numbers from 0 to 1, for the choice of the invocations that are captured."""

    def __init__(
        self,
        config: CaptureConfig,
        endpoint: str,
        scope: Scope,
        account: CaptureAccount,
        supervisor: Supervisor,
        *,
        sample: Callable[[], float] = random.random,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        flush_s: float = FLUSH_S,
    ) -> None:
        self._config, self._endpoint, self._scope, self._account = config, endpoint, scope, account
        self._supervisor, self._sample, self._new_id, self._flush_s = supervisor, sample, new_id, flush_s
        self._wake, self._ended = threading.Event(), threading.Event()
        self._lock = threading.Lock()  # of the next three
        self._waiting: list[Captured] = []
        self._waiting_bytes = 0  # also of what is just being written
        self._dropped = 0  # since the last flush
        self._task: Task | None = None
        self.works = True  # whether S3 took the last file

    def start(self) -> None:
        """ServiceUnavailable once the stage shuts down."""
        self._task = self._supervisor.start(f"data capture {self._endpoint}", self._run, cancel=self._cancel)

    def offer(self, variant: str, call: ContainerCall, reply: Reply, at_s: float) -> None:
        """Capture an invocation, if it is in the sample and there is room. It waits for nothing."""
        if self._sample() * 100 >= self._config.percentage or not isinstance(call.body, bytes):
            return
        captured = Captured(
            variant,
            self._new_id(),
            call.headers.get(PASSED_ON["InferenceId"]),
            at_s,
            Payload(call.headers.get(PASSED_ON["ContentType"]), call.body) if self._config.input else None,
            Payload(reply.headers.get("content-type"), reply.body) if self._config.output else None,
        )
        with self._lock:
            if self._waiting_bytes + _cost_bytes(captured) > MAX_WAITING_BYTES:
                self._dropped += 1
                return
            self._waiting.append(captured)
            self._waiting_bytes += _cost_bytes(captured)
            is_enough = self._waiting_bytes >= FLUSH_BYTES
        if is_enough and self.works:
            self._wake.set()

    def end(self) -> None:
        """Write what waits. Returns when S3 has it, or has refused it, or after END_WAIT_S."""
        self._cancel()
        if self._task and not self._task.join(END_WAIT_S):
            LOG.warning("endpoint %s: S3 has not taken all captured data within %d s", self._endpoint, END_WAIT_S)

    def _cancel(self) -> None:
        self._ended.set()
        self._wake.set()

    def _run(self) -> None:
        last = False
        while not last:
            self._wake.wait(self._flush_s)
            self._wake.clear()
            last = self._ended.is_set()
            self._flush()
        with self._lock:
            lost = len(self._waiting)
        if lost:
            LOG.warning("endpoint %s: %d captured invocations are lost", self._endpoint, lost)

    def _flush(self) -> None:
        """Write what waits. What S3 does not take waits on."""
        with self._lock:
            batch, self._waiting = self._waiting, []
            dropped, self._dropped = self._dropped, 0
        if dropped:
            LOG.warning("endpoint %s: %d invocations are not captured: too many wait", self._endpoint, dropped)
        refused: list[Captured] = []
        for uri, some in by_file(self._config, self._endpoint, batch).items():
            if not self._write(uri, some):
                refused += some
        with self._lock:
            self._waiting = refused + self._waiting
            self._waiting_bytes = sum(map(_cost_bytes, self._waiting))

    def _write(self, uri: str, some: Sequence[Captured]) -> bool:
        """Whether S3 has taken the file. LocalStack answers nothing any more while the stage shuts down."""
        if self._supervisor.closing:
            return False
        try:
            self._account.put_object(self._scope, uri, lines(self._config, some))
        except ApiError as error:
            if self.works:
                LOG.warning("endpoint %s: data capture: %s", self._endpoint, error.message)
            self.works = False
        else:
            self.works = True
        return self.works


def _cost_bytes(captured: Captured) -> int:
    return captured.size_bytes + OVERHEAD_BYTES
