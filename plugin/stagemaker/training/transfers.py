"""What comes from S3 into the folders of a training job's hosts, and what goes back."""

import os
from collections.abc import Callable
from pathlib import Path

from stagemaker.core.disk import explain
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.text import printable
from stagemaker.jobs.artifacts import Changes, inside, pack
from stagemaker.jobs.inputs import replicate, spread
from stagemaker.jobs.job import Job
from stagemaker.training.plan import FOLDERS, Channel, TrainingPlan

CHECKPOINT_PERIOD_S = 10.0  # ours: AWS says "continuously"
KEY_BYTES = 1024  # S3's limit of a key


class Transfers:
    """Of one job, for its own thread. The job's folder gets one for each host, whose folders the host sees in /opt/ml.

    Methods raise ApiError, or OSError when the disk is at fault; those that save checkpoints raise nothing: what cannot
    be saved is a line in the host's log.
    """

    def __init__(self, job: Job[TrainingPlan]) -> None:
        self._scope, self._plan, self._folder, self._account = job.ref.scope, job.plan, job.folder, job.account
        self._clock, self._saved_s, self._say = job.clock, job.clock(), job.say
        self.bases = [job.folder / host for host in job.plan.hosts]
        self._changes: dict[str, Changes] = {}  # of the checkpoints of each host

    def download(self, cancelled: Callable[[], bool]) -> None:
        """Make the folders and fill them; every object is fetched once. Once `cancelled`, the rest is left out."""
        for host, base in zip(self._plan.hosts, self.bases, strict=True):
            self._lay_out(host, base)
        for channel in self._plan.channels:
            self._fetch(channel, cancelled)
        if self._plan.checkpoints:
            first, *others = folders = [self._plan.checkpoints.folder(base) for base in self.bases]
            self._account.download_prefix(self._scope, f"{self._plan.checkpoints.uri}/", first, cancelled=cancelled)
            replicate(first, others)
            self._changes = {host: Changes(folder) for host, folder in zip(self._plan.hosts, folders, strict=True)}

    def save_checkpoints(self, *, last: bool = False) -> None:
        """What is new or changed on any host goes under the one prefix of all; of the same path, algo-1's stays. What
        fails is tried again with the next call, unless this is the `last`."""
        if self._plan.checkpoints is None:
            return
        for host, changes in reversed(self._changes.items()):
            for name in changes.take():
                self._save_checkpoint(host, changes, name, f"{self._plan.checkpoints.uri}/{name}", last=last)

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
        for folder in FOLDERS:
            (base / folder).mkdir(parents=True, exist_ok=True)
        if self._plan.checkpoints:
            self._plan.checkpoints.folder(base).mkdir(parents=True, exist_ok=True)
        for name, text in self._plan.files[host].items():
            (base / name).write_text(text)

    def _save_checkpoint(self, host: str, changes: Changes, name: str, uri: str, *, last: bool) -> None:
        if problem := _key_problem(uri):
            self._say(host, f"the checkpoint '{printable(name)}' is not saved: {problem}")
            return
        try:
            self._send_checkpoint(inside(changes.folder, name), uri)
        except (ApiError, OSError) as error:
            changes.put_back(name)
            told = error.message if isinstance(error, ApiError) else explain(error)
            outcome = "is not saved" if last else "is not saved yet, and is tried again"
            self._say(host, f"the checkpoint '{printable(name)}' {outcome}: {told}")

    def _send_checkpoint(self, found: Path | None, uri: str) -> None:
        """By a link of our own: the trainer may rename or delete the file while it is sent."""
        link = self._folder / "checkpoint"
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


def _key_problem(uri: str) -> str:
    """Why S3 takes no key of this name, or nothing."""
    try:
        size = len(uri.partition("://")[2].partition("/")[2].encode())
    except UnicodeEncodeError:
        return "its name is not UTF-8, which S3 asks for"
    return f"its key would have {size:,} bytes, and S3 takes {KEY_BYTES:,}" if size > KEY_BYTES else ""
