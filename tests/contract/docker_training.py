"""Training jobs on real containers, over S3, CloudWatch and a clock that are fakes."""

import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

from stagemaker.core.store import MemoryStore
from stagemaker.jobs.job import JobContext
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.training.training import Training
from tests.contract.docker_environment import LONG_S, DockerEnvironment
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeLogs
from tests.unit.plugin.training.training_requests import algorithm, request


class DockerTraining:
    """Training jobs on a Docker runtime of their own."""

    def __init__(self, image: str, folder: Path) -> None:
        self.docker = DockerEnvironment(image, folder)
        self.account = FakeAws({f"s3://bucket/train/{name}": b"x" for name in "abcde"})
        self.logs, self.supervisor, self.work_dir = FakeLogs(), self.docker.supervisor, folder / "work"
        context = JobContext(
            MemoryStore(), self.docker.runtime, self.account, self.logs, time.time, self.supervisor, self.work_dir
        )
        self.training = Jobs(Training(), context)

    def create(self, source: str, **changes: Any) -> None:
        given = request(**{**algorithm(TrainingImage=self.docker.image), **changes}, Environment={"SOURCE": source})
        self.training.create(SCOPE, given)

    def ended(self) -> dict[str, Any]:
        end = time.monotonic() + LONG_S
        while (job := self.describe())["TrainingJobStatus"] not in ENDED:
            assert time.monotonic() < end, (job, self.logs.lines)
            time.sleep(0.02)
        return job

    def describe(self) -> dict[str, Any]:
        return self.training.describe(SCOPE, {"TrainingJobName": "job"})

    def model(self) -> dict[str, Any]:
        with tarfile.open(fileobj=io.BytesIO(self.account.objects["s3://bucket/out/job/output/model.tar.gz"])) as tar:
            return {name: json.load(file) for name in tar.getnames() if (file := tar.extractfile(name))}

    def left(self) -> list[str]:
        return [*self.docker.left(), *(path.name for path in self.work_dir.glob("*/*"))]
