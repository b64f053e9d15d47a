"""What comes from S3 into the folders of a training job's hosts, and what goes back."""

import os
from collections.abc import Callable
from pathlib import Path

from stagemaker.core.errors import validation_error
from stagemaker.jobs.artifacts import Changes, inside, pack
from stagemaker.jobs.inputs import replicate, spread
from stagemaker.jobs.job import Job
from stagemaker.training.plan import FOLDERS, Channel, TrainingPlan

CHECKPOINT_PERIOD_S = 10.0  # ours: AWS says "continuously"


class Transfers:
    """Of one job, for its own thread. The job's folder gets one for each host, which the host sees as /opt/ml.

    All methods raise ApiError, or OSError when the disk is at fault.
    """

    def __init__(self, job: Job[TrainingPlan]) -> None:
        self._scope, self._plan, self._folder, self._account = job.ref.scope, job.plan, job.folder, job.account
        self._clock, self._saved_s = job.clock, job.clock()
        self.bases = [job.folder / host for host in job.plan.hosts]
        self._changes: list[Changes] = []

    def download(self, cancelled: Callable[[], bool]) -> None:
        """Make the folders and fill them; every object is fetched once. Once `cancelled`, the rest is left out."""
        for host, base in zip(self._plan.hosts, self.bases, strict=True):
            self._lay_out(host, base)
        for channel in self._plan.channels:
            self._fetch(channel, cancelled)
        if self._plan.checkpoints:
            first, *others = folders = [base / self._plan.checkpoints.folder for base in self.bases]
            self._account.download_prefix(self._scope, f"{self._plan.checkpoints.uri}/", first, cancelled=cancelled)
            replicate(first, others)
            self._changes = [Changes(folder) for folder in folders]

    def save_checkpoints(self) -> None:
        """What is new or changed on any host goes under the one prefix of all; of the same path, algo-1's stays."""
        if not self._plan.checkpoints:
            return
        for base, changes in reversed(list(zip(self.bases, self._changes, strict=True))):
            folder = base / self._plan.checkpoints.folder
            for name in changes.take():
                self._save_checkpoint(folder, name, f"{self._plan.checkpoints.uri}/{name}")

    def save_checkpoints_sometimes(self) -> None:
        """As `save_checkpoints`, but not again within CHECKPOINT_PERIOD_S."""
        if self._clock() - self._saved_s >= CHECKPOINT_PERIOD_S:
            self._saved_s = self._clock()
            self.save_checkpoints()

    def save_results(self, *, model: bool) -> None:
        """model.tar.gz, if asked for, and output.tar.gz of all hosts. Nothing is sent before all is packed."""
        plan = self._plan
        results = [("model", plan.model_uri)] if model else []
        packed = []
        for name, uri in (*results, ("output/data", plan.output_uri)):
            archive = self._folder / uri.rpartition("/")[2]
            if pack([folder for base in self.bases if (folder := inside(base, name))], archive):
                packed.append((archive, uri))
        for archive, uri in packed:
            self._account.upload_file(self._scope, archive, uri)

    def _lay_out(self, host: str, base: Path) -> None:
        """Create `base`, the folder of `host`, and everything in it but the data."""
        checkpoints = self._plan.checkpoints
        for folder in (*FOLDERS, *([checkpoints.folder] if checkpoints else [])):
            (base / folder).mkdir(parents=True, exist_ok=True)
        for name, text in self._plan.files[host].items():
            (base / name).write_text(text)

    def _save_checkpoint(self, folder: Path, name: str, uri: str) -> None:
        """By a link of our own: the trainer may rename or delete the file while it is sent."""
        link = self._folder / "checkpoint"
        found = inside(folder, name)
        if found is None:
            return
        try:
            os.link(found, link)
        except FileNotFoundError:
            return
        try:
            self._account.upload_file(self._scope, link, uri)
        finally:
            link.unlink()

    def _fetch(self, channel: Channel, cancelled: Callable[[], bool]) -> None:
        folders = [base / "input" / "data" / channel.name for base in self.bases]
        target = folders[0] if len(folders) == 1 else self._folder / "fetched"
        if not self._account.download_prefix(self._scope, channel.uri, target, cancelled=cancelled):
            raise validation_error(f"Data download failed: S3 key: {channel.uri} matched no files on s3")
        if len(folders) > 1:
            spread(target, folders, sharded=channel.sharded)
