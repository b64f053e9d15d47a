"""One training job from its first to its last status, in a thread of its own."""

import logging
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stagemaker.aws import Aws
from stagemaker.errors import ApiError
from stagemaker.runtime import Container, ContainerSpec, Exit, Runtime
from stagemaker.state import Scope
from stagemaker.training.training_files import FAILURE_CHARS, Changes, lay_out, pack, read_failure
from stagemaker.training.training_plan import HOST, TrainingPlan
from stagemaker.watcher import Signals, Why, follow

LOG = logging.getLogger(__name__)
CHECKPOINT_PERIOD_S = 10.0  # ours: AWS says "continuously"
_SHUT_DOWN = "InternalServerError: LocalStack was shut down."


class Book(Protocol):
    """Where a job's progress is written down: its record, its logs, its metrics."""

    def status(self, status: str, secondary: str, failure: str | None = None) -> None:
        """The next step; terminal ones end the job. A job that is Stopping stays so until then."""

    def on_line(self, line: str) -> None:
        """A line of the container's output."""


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
        self._scope, self._plan, self._environment, self._folder, self._book = scope, plan, environment, folder, book
        self._runtime, self._aws, self._clock = runtime, aws, clock
        self._base = folder / "ml"
        self._signals = Signals()
        self._container: Container | None = None
        self._saved = clock()
        self._thread = threading.Thread(target=self._run, name=f"training {plan.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """SIGTERM, the grace period, SIGKILL; what the model is by then is still uploaded. Returns at once."""
        self._signals.stop()

    def abort(self) -> None:
        """Kill the container; nothing is uploaded. Returns at once."""
        self._signals.abort()
        if self._container:
            self._container.stop(0)

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
            outcome = ("Failed", "Failed", f"InternalServerError: {error}"[:FAILURE_CHARS])
        shutil.rmtree(self._folder, ignore_errors=True)
        self._book.status(*outcome)  # last: whoever sees the end finds nothing left behind

    def _execute(self) -> tuple[str, str, str | None]:
        self._download()
        if self._signals.stopped:
            return "Stopped", "Stopped", None
        changes = Changes(self._base / self._plan.checkpoints.folder) if self._plan.checkpoints else None
        self._book.status("InProgress", "Training")
        why, end = self._train(changes)
        if why is Why.ABORTED or self._signals.aborted:
            raise _Failed(_SHUT_DOWN)
        self._save_checkpoints(changes)
        if why is Why.EXITED and end.code != 0:
            self._upload_output()
            text = read_failure(self._base) or "See job logs for more information"
            ending = f", exit code: {end.code}"
            raise _Failed(f"AlgorithmError: {text}"[: FAILURE_CHARS - len(ending)] + ending)
        self._book.status("InProgress", "Uploading")
        self._upload(self._base / "model", "model.tar.gz", self._plan.model_uri)
        self._upload_output()
        if why is Why.EXITED:
            return "Completed", "Completed", None
        return "Stopped", "Stopped" if why is Why.STOPPED else "MaxRuntimeExceeded", None

    def _download(self) -> None:
        lay_out(self._plan, self._base)
        self._book.status("InProgress", "Downloading")
        for channel in self._plan.channels:
            if not self._fetch(channel.uri, self._base / "input" / "data" / channel.name):
                raise _Failed(f"ClientError: Data download failed: S3 key: {channel.uri} matched no files on s3")
        if self._plan.checkpoints:
            self._fetch(f"{self._plan.checkpoints.uri}/", self._base / self._plan.checkpoints.folder)
        if self._signals.aborted:
            raise _Failed(_SHUT_DOWN)

    def _fetch(self, uri: str, folder: Path) -> int:
        return self._aws.download_prefix(self._scope, uri, folder, cancelled=lambda: self._signals.any)

    def _train(self, changes: Changes | None) -> tuple[Why, Exit]:
        plan = self._plan
        spec = ContainerSpec(
            name=f"{plan.name}-{HOST}",
            image=plan.image,
            command=("train",),
            base_dir=self._base,
            environment={**plan.environment, **self._environment},
        )
        deadline = self._clock() + plan.max_runtime_s
        self._container = self._runtime.start(spec, self._book.on_line)
        return follow(
            self._container,
            self._signals,
            self._clock,
            deadline,
            on_tick=lambda: self._save_checkpoints_sometimes(changes),
        )

    def _save_checkpoints_sometimes(self, changes: Changes | None) -> None:
        if self._clock() - self._saved >= CHECKPOINT_PERIOD_S:
            self._saved = self._clock()
            self._save_checkpoints(changes)

    def _save_checkpoints(self, changes: Changes | None) -> None:
        if not changes or not self._plan.checkpoints:
            return
        folder = self._base / self._plan.checkpoints.folder
        for name in changes.take():
            if (folder / name).exists():  # a trainer that keeps the last few deletes the others
                self._aws.upload_file(self._scope, folder / name, f"{self._plan.checkpoints.uri}/{name}")

    def _upload_output(self) -> None:
        self._upload(self._base / "output" / "data", "output.tar.gz", self._plan.output_uri)

    def _upload(self, folder: Path, name: str, uri: str) -> None:
        if pack(folder, self._folder / name):
            self._aws.upload_file(self._scope, self._folder / name, uri)
