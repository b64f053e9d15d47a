"""Runs Lambda functions without an init binary: one program an execution environment.

AWS's own runtime client runs the handler and talks to our Runtime API. What the platform decides is here:
initialisation, the timeout, the end of the program, the log lines around it.
"""

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from stagemaker.functions.exchange import (
    Ended,
    Event,
    Exchange,
    InitError,
    Invocation,
    InvocationResponse,
    Ready,
    error,
)
from stagemaker.functions.log import FunctionLog, end_line, report_line, start_line, timeout_line
from stagemaker.functions.program import Function, Launcher
from stagemaker.functions.start_queue import StartQueue
from stagemaker.runtime.contract import Exit, ImageRefused

INIT_TIMEOUT_S = 10.0  # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_MIB = 1024 * 1024
_Wanted = type[Ready] | type[InvocationResponse]


@dataclass(frozen=True)
class Result:
    """Of one invocation. `payload` is JSON; `logs` end with a line end."""

    payload: bytes
    is_error: bool
    logs: str
    duration_s: float


@dataclass(frozen=True)
class _InvocationEnd:
    payload: bytes
    is_error: bool = True
    status: str = ""  # as REPORT says it; empty unless the platform ended the invocation
    said: tuple[str, ...] = ()  # by the platform, in the log
    was_taken: bool = True  # by the program, which else had ended before


class Environment:
    """An execution environment: it is initialised once and then answers one invocation after the other.

    After a timeout, the end of its program or a failed initialisation the next invocation initialises it again, as on
    AWS, and so it does when the role's credentials end soon. What the machine takes to start the program counts for no
    timeout and no duration, and neither does the time until it is its turn among `starts`, which `start` leaves to its
    caller. `start` and `invoke` are called one at a time, `stop` from any thread. OSError or ApiError when the machine
    cannot start a program."""

    def __init__(
        self,
        function: Function,
        launcher: Launcher,
        starts: StartQueue[Any] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._function, self._launcher, self._clock = function, launcher, clock
        self._starts = starts or StartQueue(1)
        self._log = FunctionLog()
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._stopped = False
        self._init_s: float | None = None
        self._peak_bytes = 0
        self._started = self._heard = 0.0  # when the last wait for the program began and ended, on the monotonic clock

    def start(self) -> bytes | None:
        """Initialise it ahead of the first invocation, for at most 10 s; the error when that fails."""
        session = self._launch("")
        started = self._heard = time.monotonic()
        deadline = started + INIT_TIMEOUT_S
        failure = session if isinstance(session, _InvocationEnd) else self._initialise(session, "", deadline)
        self._init_s = self._heard - started
        if failure is None:
            return None
        for line in failure.said:
            self._log.add_always(line)
        return failure.payload

    def invoke(self, invocation: Invocation) -> Result:
        """Give the function one event, for at most its timeout. RuntimeError after `stop`."""
        with ExitStack() as turn:
            session = self._running() or self._launch_in_turn(invocation.request_id, turn)
            self._log.add_always(start_line(invocation.request_id, self._function.version))
            end = self._run(session, invocation, turn)
            if not end.was_taken:
                end = self._run(self._launch_in_turn(invocation.request_id, turn), invocation, turn)
        duration_s = min(self._heard - self._started, self._function.timeout_s)
        for line in (*end.said, end_line(invocation.request_id)):
            self._log.add_always(line)
        used_mb, init_s, self._init_s = self._peak_bytes // _MIB, self._init_s, None
        report = (invocation.request_id, duration_s, self._function.memory_mb, used_mb, init_s, end.status)
        self._log.add_always(report_line(*report))
        return Result(end.payload, end.is_error, self._log.take(), duration_s)

    def logs(self) -> str:
        """What no invocation has taken yet."""
        return self._log.take()

    def stop(self) -> None:
        """End it, a running invocation too; returns when nothing of it is left. Idempotent."""
        with self._lock:
            self._stopped = True
            session = self._session
        if session:
            session.program.kill()

    def _running(self) -> "_Session | None":
        session, role = self._session, self._function.role
        if session is None or session.program.poll():
            return None
        if role and session.credentials and role.ends_soon(session.credentials):
            session.program.kill()
            return None
        return session

    def _launch_in_turn(self, request_id: str, turn: ExitStack) -> "_Session | _InvocationEnd":
        """The turn lasts until `turn` is closed."""
        turn.enter_context(self._starts.turn())
        return self._launch(request_id)

    def _launch(self, request_id: str) -> "_Session | _InvocationEnd":
        """What went wrong, when the image has no such program."""
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"The environment of function {self._function.name} was stopped.")
            try:
                self._session = _Session(self._function, self._launcher, self._log)
            except ImageRefused as refusal:
                return _failed("Runtime.InvalidEntrypoint", f"RequestId: {request_id} Error: {refusal.message}")
            return self._session

    def _initialise(self, session: "_Session", request_id: str, deadline: float) -> _InvocationEnd | None:
        """What went wrong, if anything did."""
        event = self._wait(session, Ready, deadline)
        if not isinstance(event, Ready):
            return self._give_up(session, event, request_id)
        session.ready = True
        session.program.drain()
        return None

    def _run(self, session: "_Session | _InvocationEnd", invocation: Invocation, turn: ExitStack) -> _InvocationEnd:
        """`turn` is closed when the program is initialised."""
        self._started = self._heard = time.monotonic()
        if isinstance(session, _InvocationEnd):
            return session
        deadline = self._started + self._function.timeout_s
        deadline_ms = int((self._clock() + self._function.timeout_s) * 1000)
        was_ready = session.ready
        if not was_ready and (failure := self._initialise(session, invocation.request_id, deadline)):
            return failure
        turn.close()
        session.exchange.offer(replace(invocation, deadline_ms=deadline_ms))
        event = self._wait(session, InvocationResponse, deadline)
        if not isinstance(event, InvocationResponse):
            end = self._give_up(session, event, invocation.request_id)
            lost = was_ready and isinstance(event, Ended) and not session.exchange.was_taken()
            return replace(end, was_taken=not lost)
        session.program.drain()
        self._peak_bytes = max(self._peak_bytes, session.program.peak_memory_bytes())
        return _InvocationEnd(event.payload, event.is_error)

    def _wait(self, session: "_Session", wanted: _Wanted, deadline: float) -> Event | None:
        event = session.wait(wanted, deadline)
        self._heard = time.monotonic()
        return event

    def _give_up(self, session: "_Session", event: Event | None, request_id: str) -> _InvocationEnd:
        """End the program. `event` is what came instead of what was waited for, None when nothing came in time."""
        self._peak_bytes = max(self._peak_bytes, session.program.peak_memory_bytes())
        end = session.program.kill()
        if isinstance(event, InitError):
            return _InvocationEnd(event.payload, status="Status: error\tError Type: Runtime.Unknown")
        if event is None:
            timeout_s = self._function.timeout_s if request_id else INIT_TIMEOUT_S
            message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
            said = timeout_line(request_id, timeout_s, self._clock())
            return _InvocationEnd(error("Sandbox.Timedout", message), status="Status: timeout", said=(said,))
        if self._stopped:
            return _failed("Runtime.ExitError", f"RequestId: {request_id} Error: The execution environment was stopped")
        if end.out_of_memory:
            self._peak_bytes = self._function.memory_mb * _MIB
        return _failed("Runtime.ExitError", f"RequestId: {request_id} Error: {_exit_message(end)}")


class _Session:
    """One program with the server it talks to, from its start to its end."""

    def __init__(self, function: Function, launcher: Launcher, log: FunctionLog) -> None:
        self.ready = False  # it is initialised
        self.credentials = function.role.credentials() if function.role else None
        if self.credentials:
            function = replace(function, environment={**function.environment, **self.credentials.variables})
        self.exchange = Exchange()
        self._api = launcher.api(self.exchange)
        self.program = launcher.start(function, self._api, log.add, self._end)

    def wait(self, wanted: _Wanted, deadline: float) -> Event | None:
        """The next event of the wanted kind, or one that ends the wait; None when the deadline, on the monotonic
        clock, comes first."""
        while event := self.exchange.next_event(deadline - time.monotonic()):
            if isinstance(event, wanted | InitError | Ended):
                return event
        return None

    def _end(self) -> None:
        self.exchange.end()
        self._api.close()


def _failed(kind: str, message: str) -> _InvocationEnd:
    return _InvocationEnd(error(kind, message), status=f"Status: error\tError Type: {kind}", said=(message, kind))


def _exit_message(end: Exit) -> str:
    if end.code == 0:
        return "Runtime exited without providing a reason"
    if end.code <= 128:
        return f"Runtime exited with error: exit status {end.code}"
    name = signal.strsignal(end.code - 128) or str(end.code - 128)
    return f"Runtime exited with error: signal: {name.lower()}"
