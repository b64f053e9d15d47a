"""One request to an asynchronous endpoint while an instance has it: input, container, output, messages, metrics."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.hosting.async_request import (
    MAX_PAYLOAD_BYTES,
    MAX_TOLD_BYTES,
    AsyncRequest,
    Outcome,
    log_line,
    message,
    no_length,
    server_error,
)
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.container_metrics import container_invocation
from stagemaker.hosting.dispatch import Exchange
from stagemaker.hosting.endpoint_metrics import COUNT, MICROSECONDS, EndpointMetrics
from stagemaker.hosting.fleet import Fleet
from stagemaker.hosting.layout import VariantLayout
from stagemaker.hosting.model_error import MAX_MESSAGE_CHARS, NO_STATUS, described_error, error_text, is_error
from stagemaker.hosting.passage import NoAnswer

LOG = logging.getLogger(__name__)
MILLISECONDS, QUEUED_COUNT = "Milliseconds", "Count"
AS_REAL_TIME = ("Invocation4XXErrors", "Invocation5XXErrors")  # metrics that real-time endpoints have too
MOST_SINKS = 256  # (ours) log streams that are remembered: to make one again costs a call
EXPIRED = "ClientError: The request waited longer than its RequestTTLSeconds."


class AsyncAccount(Protocol):
    """The part of `aws.account.Account` that asynchronous inference needs."""

    def download_file(
        self, scope: Scope, uri: str, path: Path, *, cancelled: Callable[[], bool] = lambda: False
    ) -> None: ...
    def upload_file(self, scope: Scope, path: Path, uri: str, content_type: str | None = None) -> None: ...
    def publish(self, scope: Scope, topic_arn: str, message: str) -> None: ...
    def under(self, role_arn: str, subnet: str = "") -> "AsyncAccount": ...


class _Failed(Exception):
    """The request ends in a failure, which the message is the reason of; `body` is the container's, if it said any."""

    def __init__(self, reason: str, *, body: bytes | None = None, content_type: str | None = None) -> None:
        super().__init__(reason)
        self.outcome = Outcome(reason, content_type, body)


@dataclass
class _Measured:
    """Of one request. Durations are in seconds."""

    counts: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(
            (
                "InvocationsProcesssed",  # with three s, as in AWS's guide
                "InvocationFailures",
                "ExpiredRequests",
                "RequestDownloadFailures",
                "ResponseUploadFailures",
                "NotificationFailures",
                "Invocation4XXErrors",
                "Invocation5XXErrors",
            ),
            0.0,
        )
    )
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """How long the block takes."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began_s


class AsyncWork:
    """Processes requests, each in a thread of its own. `clock` is epoch seconds, `elapsed` are seconds that pass
    evenly; `work_dir` is there. Once `cancelled`, which is at the end of the stage, no request is told of any more."""

    def __init__(
        self,
        account: AsyncAccount,
        metrics: EndpointMetrics,
        logs: RoleTelemetry,
        clock: Callable[[], float],
        elapsed: Callable[[], float],
        work_dir: Path,
        cancelled: Callable[[], bool],
    ) -> None:
        self._account, self._metrics, self._logs = account, metrics, logs
        self._clock, self._elapsed, self._work_dir, self._cancelled = clock, elapsed, work_dir, cancelled
        self._lock = threading.Lock()
        self._sinks: dict[tuple[Scope, str, str], Callable[[str], None]] = {}

    def process(self, ref: Ref, request: AsyncRequest, exchange: Exchange) -> None:
        """Have the instance answer the request, and keep what it answers. NotReached when it did not get it: then
        nothing has happened."""
        measured = _Measured()
        measured.seconds["TimeInBacklog"] = self._elapsed() - request.queued_s
        with TemporaryDirectory(dir=self._work_dir) as folder:
            try:
                outcome = self._answered(ref, request, exchange, Path(folder), measured)
                sentence = _succeeded(measured.seconds, self._elapsed() - request.queued_s)
            except _Failed as failed:
                outcome = failed.outcome
                measured.counts["InvocationFailures"] = 1.0
                sentence = outcome.failure
                if outcome.told is not None and exchange.answer is not None:
                    told, status = error_text(outcome.told), exchange.answer.status
                    sentence = described_error(status, told, exchange.container)
            exchange.close()
            if not self._cancelled():
                self._log(ref, exchange)(log_line(request, self._clock(), sentence))
                self._end(ref, request, exchange.variant, outcome, Path(folder), measured)
                self._measure(ref, exchange.fleet, exchange.variant, measured)

    def expire(self, ref: Ref, request: AsyncRequest, fleet: Fleet, variant: VariantLayout) -> None:
        """End a request that no instance began with in time; `fleet` and `variant` are those of its metrics."""
        measured = _Measured()
        measured.seconds["TimeInBacklog"] = self._elapsed() - request.queued_s
        measured.counts |= {"ExpiredRequests": 1.0, "InvocationFailures": 1.0}
        with TemporaryDirectory(dir=self._work_dir) as folder:
            self._end(ref, request, variant, Outcome(EXPIRED), Path(folder), measured)
        self._measure(ref, fleet, variant, measured)

    def tell(self, ref: Ref, role_arn: str, topic_arn: str, text: str) -> None:
        """Tell a topic of the endpoint something that is about no request, with the rights of the role."""
        try:
            self._account.under(role_arn).publish(ref.scope, topic_arn, text)
        except ApiError as error:
            LOG.warning("endpoint %s: %s", ref.name, error.message)

    def _answered(
        self, ref: Ref, request: AsyncRequest, exchange: Exchange, folder: Path, measured: _Measured
    ) -> Outcome:
        """The answer, which lies in S3 then. _Failed."""
        source, target = folder / "input", folder / "output"
        self._fetch(ref, request, exchange.variant, source, measured)
        with source.open("rb") as body:
            headers = {**request.headers, "Content-Length": str(source.stat().st_size)}
            with measured.timed("ModelLatency"):
                call = ContainerCall(PATH, headers, body, request.timeout_s)
                exchange.send(call, request.timeout_s, MAX_PAYLOAD_BYTES)
                try:
                    content_type = self._receive(exchange, target, measured)
                finally:
                    status = exchange.answer.status if exchange.answer else NO_STATUS
                    container_invocation(self._metrics, ref.scope, exchange, status, None)
        try:
            with measured.timed("ResponseUploadLatency"):
                account = self._account.under(exchange.variant.role_arn, exchange.variant.subnet)
                account.upload_file(ref.scope, target, request.output_location, content_type)
        except ApiError as error:
            measured.counts["ResponseUploadFailures"] = 1.0
            raise _Failed(f"ClientError: {error.message}") from error
        measured.counts["InvocationsProcesssed"] = 1.0
        told = target.read_bytes() if target.stat().st_size <= MAX_TOLD_BYTES else None
        return Outcome(content_type=content_type, told=told)

    def _fetch(self, ref: Ref, request: AsyncRequest, variant: VariantLayout, path: Path, measured: _Measured) -> None:
        try:
            if request.input_location is None:
                path.write_bytes(request.body)
                return
            with measured.timed("RequestDownloadLatency"):
                account = self._account.under(variant.role_arn, variant.subnet)
                account.download_file(ref.scope, request.input_location, path, cancelled=self._cancelled)
            if self._cancelled():
                raise _Failed("ClientError: The service is shutting down.")
        except (ApiError, OSError) as error:
            measured.counts["RequestDownloadFailures"] = 1.0
            reason = error.message if isinstance(error, ApiError) else explain(error)
            raise _Failed(f"ClientError: {reason}") from error
        if path.stat().st_size > MAX_PAYLOAD_BYTES:
            measured.counts["RequestDownloadFailures"] = 1.0
            raise _Failed(f"ClientError: The input is longer than {MAX_PAYLOAD_BYTES} bytes.")

    def _receive(self, exchange: Exchange, path: Path, measured: _Measured) -> str | None:
        """Write the container's answer into a file; its Content-Type. _Failed."""
        answer = exchange.answer
        if answer is None:
            measured.counts["Invocation5XXErrors"] = 1.0
            raise _Failed(f"ClientError: {exchange.failure}")
        content_type = answer.headers.get("content-type")
        try:
            if is_error(answer.status):
                measured.counts[f"Invocation{4 if 400 <= answer.status < 500 else 5}XXErrors"] = 1.0
                body = _read_some(exchange)
                raise _Failed(server_error(answer.status), body=body, content_type=content_type)
            if "content-length" not in answer.headers:
                raise _Failed(f"ClientError: {no_length(exchange.container)}")
            with path.open("wb") as file:
                _copy(exchange, file)
        except NoAnswer as error:
            raise _Failed(f"ClientError: {error}") from error
        except OSError as error:
            raise _Failed(f"ClientError: The response could not be kept: {explain(error)}") from error
        return content_type

    def _log(self, ref: Ref, exchange: Exchange) -> Callable[[str], None]:
        """The stream of an instance in which SageMaker tells what became of its requests."""
        variant = exchange.variant
        key = (ref.scope, exchange.fleet.layout.log_group, f"{variant.name}/{exchange.lease.id}/data-log")
        with self._lock:
            if key not in self._sinks:
                if len(self._sinks) >= MOST_SINKS:
                    self._sinks.clear()
                self._sinks[key] = self._logs.under(variant.role_arn).stream(*key)
            return self._sinks[key]

    def _end(
        self,
        ref: Ref,
        request: AsyncRequest,
        variant: VariantLayout,
        outcome: Outcome,
        folder: Path,
        measured: _Measured,
    ) -> None:
        """Describe a failure in S3, and tell the topic."""
        account = self._account.under(variant.role_arn, variant.subnet)
        measured.seconds["TotalProcessingTime"] = self._elapsed() - request.queued_s
        if outcome.failure and request.failure_location:
            path = folder / "failure"
            try:
                path.write_bytes(outcome.told if outcome.told is not None else outcome.failure.encode())
                account.upload_file(ref.scope, path, request.failure_location, outcome.content_type)
            except (ApiError, OSError) as error:
                measured.counts["ResponseUploadFailures"] = 1.0
                LOG.warning("endpoint %s: %s", ref.name, error)
        topic = request.config.error_topic if outcome.failure else request.config.success_topic
        if topic is None:
            return
        try:
            text = json.dumps(message(ref, request, outcome, self._clock()))
            account.publish(ref.scope, topic, text)
        except ApiError as error:
            measured.counts["NotificationFailures"] = 1.0
            LOG.warning("endpoint %s: %s", ref.name, error.message)

    def _measure(self, ref: Ref, fleet: Fleet, variant: VariantLayout, measured: _Measured) -> None:
        put, seconds = self._metrics.of_variant, measured.seconds
        for unit, real_time in ((COUNT, True), (QUEUED_COUNT, False)):
            counts = {name: n for name, n in measured.counts.items() if (name in AS_REAL_TIME) is real_time}
            put(ref.scope, fleet, variant, counts, unit)
        for unit, in_a_second, names in (
            (MICROSECONDS, 1e6, ("ModelLatency", "RequestDownloadLatency", "ResponseUploadLatency")),
            (MILLISECONDS, 1e3, ("TimeInBacklog", "TotalProcessingTime")),
        ):
            values = {name: float(round(seconds[name] * in_a_second)) for name in names if name in seconds}
            put(ref.scope, fleet, variant, values, unit)


def _copy(exchange: Exchange, file: BinaryIO) -> None:
    """_Failed for an answer that is too long."""
    size_bytes = 0
    while piece := exchange.read():
        size_bytes += len(piece)
        if size_bytes > MAX_PAYLOAD_BYTES:
            raise _Failed(f"ClientError: The container's response is longer than {MAX_PAYLOAD_BYTES} bytes.")
        file.write(piece)


def _read_some(exchange: Exchange) -> bytes:
    """Of a container's error as much as is passed on."""
    body = b""
    while len(body) < 4 * MAX_MESSAGE_CHARS and (piece := exchange.read()):
        body += piece
    return body


def _succeeded(seconds: Mapping[str, float], total_s: float) -> str:
    """The line that AWS writes."""
    parts = [
        f"{name}: {seconds.get(name, 0.0) * in_a_second:.0f} {unit}"
        for name, in_a_second, unit in (
            ("ModelLatency", 1e6, "us"),
            ("RequestDownloadLatency", 1e6, "us"),
            ("ResponseUploadLatency", 1e6, "us"),
            ("TimeInBacklog", 1e3, "ms"),
        )
    ]
    return f"Inference request succeeded. {', '.join(parts)}, TotalProcessingTime: {total_s * 1e3:.0f} ms"
