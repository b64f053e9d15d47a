"""What comes from S3 into the folders of a training job's hosts, and what goes back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from stagemaker.core.errors import ACCESS_DENIED, ApiError, access_denied, validation_error
from stagemaker.core.text import printable
from stagemaker.jobs.artifacts import files, inside, pack
from stagemaker.jobs.inputs import fetch, replicate
from stagemaker.jobs.job import Job
from stagemaker.jobs.mirror import PERIOD_S, Mirror, key_problem
from stagemaker.jobs.pipe import Pipe
from stagemaker.jobs.streams import Stream, items_of
from stagemaker.training.channels import Channel
from stagemaker.training.plan import FOLDERS, SavedFolder, TrainingPlan


class Transfers:
    """Of one job, for its own thread. The job's folder gets one for each host, whose folders the host sees in /opt/ml.

    Methods raise ApiError, or OSError when the disk is at fault; those that save the plan's folders, of checkpoints and
    of TensorBoard files, raise nothing: what cannot be saved is a line in the host's log.
    """

    def __init__(self, job: Job[TrainingPlan]) -> None:
        self._job, self._plan, self._saved_s = job, job.plan, job.elapsed()
        self.bases = [job.folder / host for host in job.plan.hosts]
        self.has_checkpoints = False  # of an attempt or a job before this one
        self._mirrors: list[Mirror] = []
        self._streams: list[tuple[Path, str, Stream]] = []  # the folder of the FIFOs, and their channel
        self._pipes: list[Pipe] = []

    def download(self, cancelled: Callable[[], bool]) -> None:
        """Make the folders and fill them; every object is fetched once. Once `cancelled`, the rest is left out."""
        for host, base in zip(self._plan.hosts, self.bases, strict=True):
            self._lay_out(host, base)
        for channel in self._plan.channels:
            if channel.is_pipe:
                self._prepare_stream(channel, cancelled)
            else:
                self._fetch(channel, cancelled)
        if self._plan.checkpoints:
            self._restore(self._plan.checkpoints, cancelled)
            self._mirrors.append(self._mirror(self._plan.checkpoints, "checkpoint", deletes=True))
        if self._plan.tensorboard:
            self._mirrors.append(self._mirror(self._plan.tensorboard, "TensorBoard file", deletes=False))

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """Feed the channels of Pipe mode meanwhile."""
        with ExitStack() as pipes:
            for folder, channel, stream in self._streams:
                pipe = Pipe(folder, channel, stream.epoch, self._job.supervisor)
                self._pipes.append(pipes.enter_context(closing(pipe)))
            yield

    def check_streams(self) -> None:
        """Raise what has ended a channel of Pipe mode before its time."""
        for pipe in self._pipes:
            if pipe.problem is not None:
                raise pipe.problem

    def save_folders(self, *, last: bool = False) -> None:
        """What is new or changed on any host goes under the one prefix of all; of the same path, algo-1's stays. What
        fails is tried again with the next call, unless this is the `last`."""
        for mirror in self._mirrors:
            mirror.send(last=last)

    def save_folders_sometimes(self) -> None:
        """As `save_folders`, but not again within PERIOD_S."""
        if self._job.elapsed() - self._saved_s >= PERIOD_S:
            self._saved_s = self._job.elapsed()
            self.save_folders()

    def save_results(self, *, model: bool) -> None:
        """The model, if asked for, and output.tar.gz of all hosts. Nothing is sent before all is packed."""
        plan = self._plan
        is_archive = not plan.model_uri.endswith("/")
        archives = [("model", plan.model_uri)] if model and is_archive else []
        results = []
        for name, uri in (*archives, ("output/data", plan.output_uri)):
            archive = self._job.folder / uri.rpartition("/")[2]
            if pack(self._folders(name), archive):
                results.append((archive, uri))
        if model and not is_archive:
            found = files(self._folders("model"))
            results += [(path, f"{plan.model_uri}{name}") for name, path in found.items()]
        self._upload(results)

    def _folders(self, name: str) -> list[Path]:
        """Those of this name that the hosts' programs left."""
        return [folder for base in self.bases if (folder := inside(base, name))]

    def _upload(self, results: Sequence[tuple[Path, str]]) -> None:
        """All of them or none: when one cannot be sent, those before it are deleted again."""
        for _, uri in results:
            if problem := key_problem(uri):
                raise validation_error(f"Could not upload to {printable(uri)}: {problem}")
        scope, account = self._job.ref.scope, self._job.account
        for number, (path, uri) in enumerate(results):
            try:
                account.upload_file(scope, path, uri)
            except ApiError as error:
                for _, sent in results[:number]:
                    with suppress(ApiError):  # what was refused before it is the reason that is told
                        account.delete_object(scope, sent)
                if error.code == ACCESS_DENIED:
                    raise access_denied(f"Artifact upload failed:{error.message}") from error
                raise

    def _lay_out(self, host: str, base: Path) -> None:
        """Create `base`, the folder of `host`, and everything in it but the data."""
        for folder in FOLDERS:
            (base / folder).mkdir(parents=True, exist_ok=True)
        for saved in self._plan.saved:
            saved.folder(base).mkdir(parents=True, exist_ok=True)
        for name, text in self._plan.files[host].items():
            (base / name).write_text(text)

    def _data_folders(self, channel: Channel) -> list[Path]:
        """Of the hosts that get the channel."""
        return [self._job.folder / host / "input" / "data" for host in self._plan.hosts_of(channel)]

    def _fetch(self, channel: Channel, cancelled: Callable[[], bool]) -> None:
        job, folders = self._job, [folder / channel.name for folder in self._data_folders(channel)]
        fetch(job.account, job.ref.scope, channel.source, folders, job.folder / "fetched", cancelled)

    def _prepare_stream(self, channel: Channel, cancelled: Callable[[], bool]) -> None:
        job, folders = self._job, self._data_folders(channel)
        scratch = job.folder / f"{channel.name}-manifest"
        items = items_of(job.account, job.ref.scope, channel.source, scratch, cancelled)
        if items is None:
            return
        for host, folder in enumerate(folders):
            stream = Stream(job.account, job.ref.scope, channel.source, items, host, len(folders))
            self._streams.append((folder, channel.name, stream))

    def _restore(self, checkpoints: SavedFolder, cancelled: Callable[[], bool]) -> None:
        job, (first, *others) = self._job, [checkpoints.folder(base) for base in self.bases]
        found = job.account.download_prefix(job.ref.scope, f"{checkpoints.uri}/", first, cancelled=cancelled)
        self.has_checkpoints = found > 0
        replicate(first, others)

    def _mirror(self, saved: SavedFolder, what: str, *, deletes: bool) -> Mirror:
        """Of what the folder does not hold yet."""
        job = self._job
        return Mirror(
            {host: saved.folder(base) for host, base in zip(self._plan.hosts, self.bases, strict=True)},
            saved.uri,
            scope=job.ref.scope,
            account=job.account,
            say=job.say,
            link=job.folder / "sent",
            what=what,
            deletes=deletes,
        )
