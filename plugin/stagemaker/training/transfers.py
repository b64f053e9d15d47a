"""What comes from S3 into the folders of a training job's hosts, and what goes back."""

import os
from collections.abc import Callable
from pathlib import Path

from stagemaker.aws.account import Aws
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope
from stagemaker.jobs.files import Changes, inside, lay_out, pack, replicate, spread
from stagemaker.training.plan import Channel, TrainingPlan


class Transfers:
    """Of one job, for its own thread. `folder` gets a folder for each host, which the host sees as /opt/ml.

    All methods raise ApiError, or OSError when the disk is at fault.
    """

    def __init__(self, scope: Scope, plan: TrainingPlan, folder: Path, aws: Aws) -> None:
        self._scope, self._plan, self._folder, self._aws = scope, plan, folder, aws
        self.bases = [folder / host for host in plan.hosts]
        self._changes: list[Changes] = []

    def download(self, cancelled: Callable[[], bool]) -> None:
        """Make the folders and fill them; every object is fetched once. Once `cancelled`, the rest is left out."""
        for host, base in zip(self._plan.hosts, self.bases, strict=True):
            lay_out(self._plan, host, base)
        for channel in self._plan.channels:
            self._fetch(channel, cancelled)
        if self._plan.checkpoints:
            first, *others = folders = [base / self._plan.checkpoints.folder for base in self.bases]
            self._aws.download_prefix(self._scope, f"{self._plan.checkpoints.uri}/", first, cancelled=cancelled)
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
            self._aws.upload_file(self._scope, archive, uri)

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
            self._aws.upload_file(self._scope, link, uri)
        finally:
            link.unlink()

    def _fetch(self, channel: Channel, cancelled: Callable[[], bool]) -> None:
        folders = [base / "input" / "data" / channel.name for base in self.bases]
        target = folders[0] if len(folders) == 1 else self._folder / "fetched"
        if not self._aws.download_prefix(self._scope, channel.uri, target, cancelled=cancelled):
            raise validation_error(f"Data download failed: S3 key: {channel.uri} matched no files on s3")
        if len(folders) > 1:
            spread(target, folders, sharded=channel.sharded)
