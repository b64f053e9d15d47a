"""What comes from S3 into the folders of a processing job's hosts, and what goes back."""

from collections.abc import Callable

from stagemaker.jobs.artifacts import inside
from stagemaker.jobs.inputs import fetch
from stagemaker.jobs.job import Job
from stagemaker.jobs.kind import JobFailed
from stagemaker.jobs.mirror import PERIOD_S, Mirror
from stagemaker.processing.plan import Input, Output, ProcessingPlan, folder

MESSAGE_BYTES = 1024  # of /opt/ml/output/message, which becomes ExitMessage


class Transfers:
    """Of one job, for its own thread. The job's folder gets one for each host, whose folders the host sees. Methods
    raise ApiError, or OSError when the disk is at fault."""

    def __init__(self, job: Job[ProcessingPlan]) -> None:
        self._job, self._plan = job, job.plan
        self.bases = [job.folder / host for host in job.plan.hosts]
        self._mirrors: list[tuple[Output, Mirror]] = []
        self._sent_s = job.elapsed()

    def download(self, cancelled: Callable[[], bool]) -> None:
        """Make the folders and fill them. Once `cancelled`, the rest is left out."""
        for host, base in zip(self._plan.hosts, self.bases, strict=True):
            for mount in self._plan.mounts(base):
                mount.folder.mkdir(parents=True, exist_ok=True)
            for path in self._plan.paths:
                folder(base, path).mkdir(parents=True, exist_ok=True)
            for name, text in self._plan.files[host].items():
                (base / name).write_text(text)
        self._mirrors = [(output, self._mirror(output)) for output in self._plan.outputs]
        for each in self._plan.inputs:
            self._fetch(each, cancelled)

    def send_sometimes(self) -> None:
        """What is new in continuous outputs, but not again within PERIOD_S."""
        if self._job.elapsed() - self._sent_s >= PERIOD_S:
            self._sent_s = self._job.elapsed()
            self.send_continuous()

    def send_continuous(self, *, last: bool = False) -> None:
        """What is new in continuous outputs."""
        for output, mirror in self._mirrors:
            if output.continuous:
                mirror.send(last=last)

    def send_all(self) -> None:
        """Every output's rest, at the end of a job that did its work. JobFailed when anything could not be sent."""
        failed = [problem for _, mirror in self._mirrors for problem in mirror.send(last=True)]
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise JobFailed(f"ClientError: {failed[0]}{more}")

    def exit_message(self) -> str:
        """The first MESSAGE_BYTES of what each host wrote to output/message, joined and cut. JobFailed when it is not
        UTF-8; a character that the cut halves is left out."""
        told = b"\n".join(filter(None, (self._message(number) for number in range(len(self.bases)))))[:MESSAGE_BYTES]
        try:
            return told.decode()
        except UnicodeDecodeError as error:
            if error.reason == "unexpected end of data" and len(told) == MESSAGE_BYTES:
                return told[: error.start].decode()
            raise JobFailed(
                "ClientError: The message of the container in /opt/ml/output/message is not UTF-8."
            ) from error

    def _message(self, number: int) -> bytes:
        path = inside(self.bases[number], "output/message")
        if path is None or not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(MESSAGE_BYTES)

    def _mirror(self, output: Output) -> Mirror:
        job = self._job
        return Mirror(
            {host: folder(base, output.path) for host, base in zip(self._plan.hosts, self.bases, strict=True)},
            output.uri,
            scope=job.ref.scope,
            account=job.account,
            say=job.say,
            link=job.folder / "sent",
            what=f"file of the output {output.name}",
            links=False,
        )

    def _fetch(self, given: Input, cancelled: Callable[[], bool]) -> None:
        job, folders = self._job, [folder(base, given.path) for base in self.bases]
        fetch(job.account, job.ref.scope, given.source, folders, job.folder / "fetched", cancelled)
