"""A job that runs, as its kind's `work` sees it: plan, folder, signals, and the ways to tell its progress."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagemaker.core.refs import Kind, Ref
from stagemaker.core.signals import Signals
from stagemaker.core.store import Record, Store
from stagemaker.core.supervisor import Supervisor
from stagemaker.core.telemetry import RoleTelemetry
from stagemaker.jobs.attempt import Attempt
from stagemaker.jobs.checks import Checks, JobAccount
from stagemaker.jobs.hosts import Hosts
from stagemaker.jobs.kind import JobKind, Outcome
from stagemaker.runtime.contract import ContainerSpec, Runtime
from stagemaker.runtime.hardware import HardwareLog
from stagemaker.runtime.variables import run_as

if TYPE_CHECKING:
    from stagemaker.jobs.jobs import Jobs


@dataclass(frozen=True)
class JobContext:
    """What jobs of every kind work with. `clock` is epoch seconds, for what is shown; `elapsed` are seconds that pass
    evenly even when the machine's clock is set, for time limits. `work_dir` is the stage's alone; `kinds` is filled by
    each `Jobs`, so that a job can submit one of another kind."""

    store: Store
    runtime: Runtime
    account: JobAccount
    logs: RoleTelemetry
    clock: Callable[[], float]
    supervisor: Supervisor
    work_dir: Path
    elapsed: Callable[[], float] = time.monotonic
    kinds: "dict[Kind, Jobs[Any]]" = field(default_factory=dict)


class Job[Plan]:
    """For the job's own thread, but for `signals`, `interrupt` and `ended`, which any thread may use.

    `folder` is the job's alone; whoever writes into it creates it, and it is deleted at the end. `account` and `logs`
    have the rights of the job's role, in the subnet with the id `subnet`. `checks` found out what this is, and what
    each image runs as."""

    def __init__(
        self, ref: Ref, plan: Plan, kind: JobKind[Plan], context: JobContext, folder: Path, checks: Checks
    ) -> None:
        self.ref, self.plan, self.folder = ref, plan, folder
        self.signals, self.ended = Signals(), threading.Event()
        self.account = context.account.under(checks.role_arn, checks.subnet)
        self.logs, self.subnet = context.logs.under(checks.role_arn), checks.subnet
        self.clock, self.supervisor, self.runtime = context.clock, context.supervisor, context.runtime
        self.elapsed, self.begun_s = context.elapsed, context.elapsed()
        self._kind, self._context, self._pinned = kind, context, checks.pinned
        self._credentials = checks.credentials
        self._attempt: Attempt | None = None
        self._host_logs: _HostLogs | None = None

    @property
    def record(self) -> Record:
        """As it is now. A job that runs has one: only an ended job can be deleted."""
        return self._context.store.get(self.ref) or {}

    def enter(self, step: str, note: str = "") -> bool:
        """Move the record to `step`; False when the job is Stopping and so does not enter it. `note` follows AWS's
        message of the step."""
        return self._move(step, note, {})

    def end(self, outcome: Outcome) -> None:
        """Move the record to its last step, with all that the end adds to it."""
        with self._context.store.lock:
            self._move(outcome.step, "", outcome.changes)
            self._context.store.update(self.ref, **self._kind.ending(self.record))

    def change(self, changes: Callable[[Record], Mapping[str, Any]]) -> None:
        """Replace members of the record that do not say its progress by what `changes` makes of it; from any thread."""
        with self._context.store.lock:
            self._context.store.update(self.ref, **changes(self.record))

    def metric(self, name: str, value: float, moment_s: float | None = None) -> None:
        """A value measured now or at `moment_s` of the clock, a finite number: to CloudWatch, and to the job's history.
        From any thread."""
        moment_s = self.clock() if moment_s is None else moment_s
        dimensions = {self.ref.kind.name_member: self.ref.name}
        self.logs.metric(self.ref.scope, self._kind.log_group, name, value, "None", dimensions, moment_s)
        self._context.store.append(self.ref, name, [moment_s, value])

    def forget_metrics(self) -> None:
        """Empty the job's history: its program begins anew, and measures everything again. CloudWatch keeps it."""
        self._context.store.drop_series(self.ref)

    def attempt(self, on_line: Callable[[str], None] = lambda _: None) -> Attempt:
        """Begin one more run of the containers. `on_line` gets each line of every host's output, from any thread."""
        number = self._attempt.number + 1 if self._attempt else 1
        signals, context = Signals(self.signals), self._context
        hosts = Hosts(context.runtime, signals, self.elapsed, context.supervisor, self._pinned)
        self._host_logs = _HostLogs(self, on_line)
        self._attempt = Attempt(number, signals, hosts, self._host_logs, self.elapsed)
        return self._attempt

    def say(self, host: str, sentence: str) -> None:
        """Write a line of ours into the log of a host of the last attempt."""
        if self._host_logs is not None:
            self._host_logs.say(host, sentence)

    def interrupt(self) -> bool:
        """End the attempt that runs, if there is one, with its grace period; whether there was one."""
        attempt = self._attempt
        if attempt is None:
            return False
        attempt.signals.interrupt()
        return True

    def find(self, kind: Kind, name: str) -> Record | None:
        """The record of another thing in the same account and region."""
        return self._context.store.get(Ref(self.ref.scope, kind, name))

    def run_as(self, spec: ContainerSpec, role_arn: str) -> ContainerSpec:
        """The spec with what the job's role gives a container: credentials, region, and the gateway."""
        renew = partial(self.account.role_credentials, self.ref.scope, role_arn, self.ref.arn, self.subnet)
        return run_as(spec, self._credentials, renew)

    def submit(self, kind: Kind, request: Mapping[str, Any]) -> "Handle":
        """Create a job of this or another kind in the same account and region. ApiError as its operation raises it."""
        return self._context.kinds[kind].submit(self.ref.scope, request)

    def log(self, host: str) -> Callable[[str], None]:
        """A sink for the lines of a host, into a log stream of its own: `<job>/<host>-<epoch seconds>`, as on AWS."""
        stream = f"{self.ref.name}/{host}-{int(self.clock())}"
        return self.logs.stream(self.ref.scope, self._kind.log_group, stream)

    def _move(self, step: str, note: str, more: Mapping[str, Any]) -> bool:
        with self._context.store.lock:
            changes = self._kind.statuses.move(self.record, step, self.clock(), note)
            if changes is not None:
                self._context.store.update(self.ref, **changes, **more)
            return changes is not None


class Handle:
    """A job that somebody submitted, from outside of its thread. Thread-safe."""

    def __init__(self, job: Job[Any], context: JobContext, stop: Callable[[], object]) -> None:
        self.ref = job.ref
        self._job, self._store, self._stop = job, context.store, stop

    def record(self) -> Record | None:
        """As it is now; None when the job was deleted."""
        return self._store.get(self.ref)

    def history(self, metric: str) -> list[tuple[float, float]]:
        """Moment (epoch seconds) and value of all that was measured, oldest first."""
        return [(moment, value) for moment, value in self._store.series(self.ref, metric)]

    def stop(self) -> None:
        """As the job's Stop operation, but no error when it has ended."""
        self._stop()

    def interrupt(self) -> bool:
        """End the attempt that runs, if there is one; whether there was one."""
        return self._job.interrupt()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the job's end, for at most so long; whether it has ended."""
        return self._job.ended.wait(timeout_s)


class _HostLogs:
    """The output of each host: into its log stream, which begins with what the host runs on, and to `on_line`."""

    def __init__(self, job: Job[Any], on_line: Callable[[str], None]) -> None:
        self._job, self._on_line = job, on_line
        self._hosts: dict[str, HardwareLog] = {}

    def open(self, host: str) -> None:
        """The host is about to start."""
        self._hosts[host] = HardwareLog(host, self._job.log(host))

    def begin(self, host: str, hardware: str, notes: Sequence[str]) -> None:
        """It has started, on this hardware; `notes` are sentences for its first lines."""
        self._hosts[host].begin(hardware, notes)

    def say(self, host: str, sentence: str) -> None:
        """A line of ours, if the host was ever opened."""
        if host in self._hosts:
            self._hosts[host].line(f"Stagemaker: {sentence}")

    def on_line(self, host: str, line: str) -> None:
        """A line of its output."""
        self._hosts[host].line(line)
        self._on_line(line)
