"""Runs Lambda functions without Docker and without an init binary: one process an execution environment.

AWS's own runtime client (`awslambdaric`) runs the handler and talks to our Runtime API. What the platform decides is
here: initialisation, the timeout, the end of the process, the log lines around it. Not as on AWS: the memory size is
no limit, and the code folder is not /var/task.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stagemaker.functions.functions_api import Answer, Ended, Event, InitError, Invocation, Ready, RuntimeApi, error
from stagemaker.functions.functions_log import FunctionLog, end_line, report_line, start_line, timeout_line
from stagemaker.runtime.child import Child
from stagemaker.runtime.environment import minimal_environment
from stagemaker.runtime.labels import Labels

INIT_TIMEOUT_S = 10.0  # https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Function:
    """One version of a function, ready to run."""

    name: str
    version: str
    handler: str
    code: Path  # the unpacked folder: shared by versions, so that nothing is ever written into it
    memory_mb: int
    timeout_s: float
    environment: Mapping[str, str]  # the function's own, its role's credentials, AWS_*


@dataclass(frozen=True)
class Result:
    """Of one invocation. `payload` is JSON; `logs` end with a line end."""

    payload: bytes
    is_error: bool
    logs: str


@dataclass(frozen=True)
class _Outcome:
    payload: bytes
    is_error: bool = True
    status: str = ""  # as REPORT says it; empty unless the platform ended the invocation
    said: tuple[str, ...] = ()  # by the platform, in the log


class Environment:
    """An execution environment: it is initialised once and then answers one invocation after the other.

    After a timeout, the end of its process or a failed initialisation the next invocation initialises it again, as on
    AWS. `start` and `invoke` are called one at a time, `stop` from any thread. `python` is an interpreter with
    awslambdaric. OSError when the machine cannot start a process."""

    def __init__(
        self, function: Function, python: Path, labels: Labels, clock: Callable[[], float] = time.time
    ) -> None:
        self._function, self._python, self._labels, self._clock = function, python, labels, clock
        self._log = FunctionLog()
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._stopped = False
        self._init_s: float | None = None
        self._peak_bytes = 0

    def start(self) -> bytes | None:
        """Initialise it ahead of the first invocation, for at most 10 s; the error when that fails."""
        started = time.monotonic()
        failure = self._initialise("", started + INIT_TIMEOUT_S)
        self._init_s = time.monotonic() - started
        if not isinstance(failure, _Outcome):
            return None
        for line in failure.said:
            self._log.add_always(line)
        return failure.payload

    def invoke(self, invocation: Invocation) -> Result:
        """Give the function one event, for at most its timeout. RuntimeError after `stop`."""
        started, now = time.monotonic(), self._clock()
        deadline_ms = int((now + self._function.timeout_s) * 1000)
        self._log.add_always(start_line(invocation.request_id, self._function.version))
        outcome = self._run(replace(invocation, deadline_ms=deadline_ms), started + self._function.timeout_s)
        for line in (*outcome.said, end_line(invocation.request_id)):
            self._log.add_always(line)
        duration_s = min(time.monotonic() - started, self._function.timeout_s)
        used_mb, init_s, self._init_s = self._peak_bytes // _MIB, self._init_s, None
        report = (invocation.request_id, duration_s, self._function.memory_mb, used_mb, init_s, outcome.status)
        self._log.add_always(report_line(*report))
        return Result(outcome.payload, outcome.is_error, self._log.take())

    def logs(self) -> str:
        """What no invocation has taken yet."""
        return self._log.take()

    def stop(self) -> None:
        """End it, a running invocation too; returns when nothing of it is left. Idempotent."""
        with self._lock:
            self._stopped = True
            session = self._session
        if session:
            session.child.kill()

    def _run(self, invocation: Invocation, deadline: float) -> _Outcome:
        session = self._running() or self._initialise(invocation.request_id, deadline)
        if isinstance(session, _Outcome):
            return session
        session.api.offer(invocation)
        event = session.wait(Answer, deadline)
        if not isinstance(event, Answer):
            return self._give_up(session, event, invocation.request_id)
        session.child.drain()
        self._peak_bytes = max(self._peak_bytes, session.child.peak_memory_bytes())
        return _Outcome(event.payload, event.is_error)

    def _running(self) -> "_Session | None":
        return self._session if self._session and not self._session.child.poll() else None

    def _initialise(self, request_id: str, deadline: float) -> "_Session | _Outcome":
        with self._lock:
            if self._stopped:
                raise RuntimeError(f"The environment of function {self._function.name} was stopped.")
            session = self._session = _Session(self._function, self._python, self._labels, self._log)
        event = session.wait(Ready, deadline)
        return session if isinstance(event, Ready) else self._give_up(session, event, request_id)

    def _give_up(self, session: "_Session", event: Event | None, request_id: str) -> _Outcome:
        """End the process. `event` is what came instead of what was waited for, None when nothing came in time."""
        self._peak_bytes = max(self._peak_bytes, session.child.peak_memory_bytes())
        code = session.child.kill().code
        if isinstance(event, InitError):
            return _Outcome(event.payload, status="Status: error\tError Type: Runtime.Unknown")
        if event is None:
            timeout_s = self._function.timeout_s if request_id else INIT_TIMEOUT_S
            message = f"RequestId: {request_id} Error: Task timed out after {timeout_s:.2f} seconds"
            said = timeout_line(request_id, timeout_s, self._clock())
            return _Outcome(error("Sandbox.Timedout", message), status="Status: timeout", said=(said,))
        message = f"RequestId: {request_id} Error: {_exit_message(code)}"
        status = "Status: error\tError Type: Runtime.ExitError"
        return _Outcome(error("Runtime.ExitError", message), status=status, said=(message, "Runtime.ExitError"))


class _Session:
    """One process with the server it talks to, from its start to its end."""

    def __init__(self, function: Function, python: Path, labels: Labels, log: FunctionLog) -> None:
        label = labels.new(f"lambda-{function.name}")
        self.api = RuntimeApi()
        self._folder = label.folder
        try:
            label.folder.mkdir(mode=0o700)
            self.child = Child(
                [str(python), "-m", "awslambdaric", function.handler],
                folder=function.code,
                environment=_environment(function, python, label.folder, self.api.address),
                label=label.text,
                on_line=log.add,
                on_end=self._end,
            )
        except (OSError, ValueError):
            self._end()
            raise

    def wait(self, wanted: type[Ready] | type[Answer], deadline: float) -> Event | None:
        """The next event of the wanted kind, or one that ends the wait; None when the deadline, on the monotonic
        clock, comes first."""
        while event := self.api.next_event(deadline - time.monotonic()):
            if isinstance(event, wanted | InitError | Ended):
                return event
        return None

    def _end(self) -> None:
        self.api.events.put(Ended())
        self.api.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _environment(function: Function, python: Path, temporary: Path, api: str) -> dict[str, str]:
    return {
        **minimal_environment(python, temporary, temporary),
        **function.environment,
        "PYTHONDONTWRITEBYTECODE": "1",  # the code folder is read-only on AWS, and shared here
        "LAMBDA_TASK_ROOT": str(function.code),
        "LAMBDA_RUNTIME_DIR": str(python.parent),
        "_HANDLER": function.handler,
        "AWS_LAMBDA_RUNTIME_API": api,
    }


def _exit_message(code: int) -> str:
    if code == 0:
        return "Runtime exited without providing a reason"
    return f"Runtime exited with error: {f'signal: {code - 128}' if code > 128 else f'exit status {code}'}"
