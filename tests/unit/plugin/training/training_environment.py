"""Training jobs over the fake runtime, and shorthands for the calls that most tests make."""

import io
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.runtime.contract import Exit
from stagemaker.runtime.fake import Behaviour, FakeProgram
from stagemaker.training.plan import TrainingPlan
from stagemaker.training.training import Training
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.jobs.jobs_environment import JobsEnvironment
from tests.unit.plugin.polling import until
from tests.unit.plugin.training.training_requests import request

DATA = {"s3://bucket/train/cat/1.jpg": b"cat", "s3://bucket/train/dog/2.jpg": b"dog"}
GROUP = "/aws/sagemaker/TrainingJobs"


def trains(program: FakeProgram) -> int:
    base = program.base
    found = sorted(path.name for path in (base / "input" / "data" / "train").rglob("*.jpg"))
    program.say(f"loss=0.5 {found}")
    for odd in ("loss=", "loss=1.2.3", "loss=nan", "loss=inf", "loss=1_000", "loss=0_1", "loss=\u0663"):
        program.say(odd)
    program.say("loss=0.25")
    (base / "model" / "weights").write_text(program.spec.environment["AWS_ACCESS_KEY_ID"])
    (base / "output" / "data" / "report").write_text((base / "input" / "config" / "hyperparameters.json").read_text())
    return 0


def saves_on_sigterm(program: FakeProgram) -> int:
    program.handles_sigterm = True
    (program.base / "model" / "weights").write_text("so far")
    program.say("ready")
    while not program.sleep(30):
        pass
    return 1


class Environment(JobsEnvironment):
    """The kind under test with everything around it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"trainer": trains}, DATA)
        self.training: Jobs[TrainingPlan] = Jobs(Training(), self.context)

    def create(self, behaviour: Behaviour = trains, **changes: Any) -> dict[str, Any]:
        self.runtime.behaviours["trainer"] = behaviour
        return self.training.create(SCOPE, request(**changes))

    def describe(self, name: str = "job") -> dict[str, Any]:
        return self.training.describe(SCOPE, {"TrainingJobName": name})

    def list(self, **members: Any) -> dict[str, Any]:
        return self.training.list(SCOPE, members)

    def stop(self) -> None:
        self.training.stop(SCOPE, {"TrainingJobName": "job"})

    def until(self, condition: Callable[[dict[str, Any]], bool], name: str = "job") -> dict[str, Any]:
        until(lambda: condition(self.describe(name)), f"a state of the job {name}")
        return self.describe(name)

    def ended(self, name: str = "job") -> dict[str, Any]:
        return self.until(lambda job: job["TrainingJobStatus"] in ENDED, name)

    def archive(self, name: str) -> dict[str, str]:
        data = self.account.objects[f"s3://bucket/out/job/output/{name}.tar.gz"]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {n: file.read().decode() for n in tar.getnames() if (file := tar.extractfile(n))}

    def exits(self) -> Sequence[Exit | None]:
        """How each container ended, in the order of their starts."""
        return [container.poll() for container in self.runtime.containers]


def steps(job: dict[str, Any]) -> list[str]:
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


def refusal(environment: Environment, **changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        environment.create(**changes)
    return caught.value
