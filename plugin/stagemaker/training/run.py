"""One training job from its first to its last status, in a thread of its own."""

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stagemaker.aws.account import Aws
from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.jobs.files import FAILURE_CHARS, read_failure
from stagemaker.jobs.follow import End, Signals, Why
from stagemaker.jobs.hosts import HostLogs, Hosts
from stagemaker.runtime.contract import ContainerSpec, Exit, Runtime
from stagemaker.runtime.hardware import sentence
from stagemaker.training.plan import TrainingPlan
from stagemaker.training.transfers import Transfers

LOG = logging.getLogger(__name__)
CHECKPOINT_PERIOD_S = 10.0  # ours: AWS says "continuously"
_SHUT_DOWN = "InternalServerError: LocalStack was shut down."


class Book(HostLogs, Protocol):
    """Where a job's progress is written down: its record, its logs, its metrics."""

    def status(self, status: str, secondary: str, failure: str | None = None, note: str = "") -> None:
        """The next step; terminal ones end the job. A job that is Stopping stays so until then. `note` follows AWS's
        own message of the step."""


class _Failed(Exception):
    """Ends the job as Failed with this reason."""


class TrainingRun:
    """Runs `plan` in `folder`, which it creates and deletes. `environment` is that of the role."""

    def __init__(
        self,
        scope: Scope,
        plan: TrainingPlan,
        environment: dict[str, str],
        folder: Path,
        book: Book,
        *,
        runtime: Runtime,
        aws: Aws,
        clock: Callable[[], float],
    ) -> None:
        self._plan, self._environment, self._folder, self._book = plan, environment, folder, book
        self._clock, self._signals = clock, Signals()
        self._transfers = Transfers(scope, plan, folder, aws)
        self._hosts = Hosts(runtime, self._signals, clock)
        self._saved = clock()
        self._thread = threading.Thread(target=self._run, name=f"training {plan.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """SIGTERM, the grace period, SIGKILL; what the model is by then is still uploaded. Returns at once."""
        self._signals.stop()

    def abort(self) -> None:
        """Kill the containers; nothing is uploaded. Returns at once."""
        self._signals.abort()

    def join(self, timeout_s: float) -> None:
        """Wait until the job is over and its folder gone, for at most so long."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            outcome = self._execute()
        except _Failed as failure:
            outcome = ("Failed", "Failed", str(failure)[:FAILURE_CHARS])
        except ApiError as error:
            kind = "ClientError" if error.status < 500 else "InternalServerError"
            outcome = ("Failed", "Failed", f"{kind}: {error.message}"[:FAILURE_CHARS])
        except Exception as error:
            LOG.exception("training job %s", self._plan.name)
            outcome = ("Failed", "Failed", f"InternalServerError: {explain(error)}"[:FAILURE_CHARS])
        shutil.rmtree(self._folder, ignore_errors=True)
        self._book.status(*outcome)  # last: whoever sees the end finds nothing left behind

    def _execute(self) -> tuple[str, str, str | None]:
        self._book.status("InProgress", "Downloading")
        self._transfers.download(lambda: self._signals.any)
        if self._signals.stopped and not self._signals.aborted:
            return "Stopped", "Stopped", None
        end = self._train()
        if end is None:
            raise _Failed(_SHUT_DOWN)
        if end.failed is not None:
            self._save_what_failed()
            raise _Failed(self._reason(end.failed, end.exits[end.failed]))
        self._transfers.save_checkpoints()
        self._book.status("InProgress", "Uploading")
        self._transfers.save_results(model=True)
        if end.why is Why.EXITED:
            return "Completed", "Completed", None
        return "Stopped", "Stopped" if end.why is Why.STOPPED else "MaxRuntimeExceeded", None

    def _train(self) -> End | None:
        """Nothing runs when this returns or raises. None when we are shutting down."""
        if self._signals.aborted:
            return None
        try:
            hardware = self._hosts.start(self._specs(), self._book)
            deadline = self._clock() + self._plan.max_runtime_s
            if not self._signals.any:
                self._book.status("InProgress", "Training", note=sentence(hardware))
            end = self._hosts.follow(deadline, self._save_checkpoints_sometimes)
        finally:
            self._hosts.stop()
        return None if self._signals.aborted else end

    def _specs(self) -> list[ContainerSpec]:
        plan = self._plan
        return [
            ContainerSpec(
                name=f"{plan.name}-{host}",
                image=plan.image,
                command=plan.command,
                base_dir=base,
                environment={**plan.environment, **self._environment},
                entrypoint=plan.entrypoint,
                host=host,
                group=self._folder.name if len(plan.hosts) > 1 else "",  # unique, as the folder is
                instance_type=plan.instance_type,
            )
            for host, base in zip(plan.hosts, self._transfers.bases, strict=True)
        ]

    def _save_what_failed(self) -> None:
        """Checkpoints and output data. The job's reason is its container's: one of ours is only logged."""
        try:
            self._transfers.save_checkpoints()
            self._transfers.save_results(model=False)
        except (ApiError, OSError) as error:
            LOG.warning("training job %s failed, and what it made is not saved: %s", self._plan.name, explain(error))

    def _reason(self, index: int, end: Exit) -> str:
        """What the runtime and the host itself say of its end, cut so that the code stays."""
        told = (end.reason.rstrip("."), read_failure(self._transfers.bases[index]))
        text = ". ".join(filter(None, told)) or "See job logs for more information"
        host = f"{self._plan.hosts[index]}: " if len(self._plan.hosts) > 1 else ""
        if end.lost:
            return f"InternalServerError: {host}{text}"[:FAILURE_CHARS]
        ending = f", exit code: {end.code}"
        return f"AlgorithmError: {host}{text}"[: FAILURE_CHARS - len(ending)] + ending

    def _save_checkpoints_sometimes(self) -> None:
        if self._clock() - self._saved >= CHECKPOINT_PERIOD_S:
            self._saved = self._clock()
            self._transfers.save_checkpoints()
