"""Tuning jobs over the fake runtime: their training jobs are Python functions that really run as training jobs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.jobs.jobs import Jobs
from stagemaker.jobs.statuses import ENDED
from stagemaker.runtime.fake import Behaviour, FakeProgram
from stagemaker.training.training import Training
from stagemaker.tuning.tuning import TuningJobs
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.jobs.jobs_environment import JobsEnvironment
from tests.unit.plugin.polling import until
from tests.unit.plugin.tuning.tuning_requests import request

DATA = {"s3://bucket/train/1.jpg": b"cat"}


def hyperparameters(program: FakeProgram) -> dict[str, str]:
    found: dict[str, str] = json.loads((program.base / "input/config/hyperparameters.json").read_text())
    return found


def says_its_rate(program: FakeProgram) -> int:
    """Its loss is its rate."""
    program.say(f"loss={hyperparameters(program)['rate']}")
    (program.base / "model/weights").write_text("trained")
    return 0


def waits(program: FakeProgram) -> int:
    """Says its rate, and then waits for SIGTERM, after which it leaves a model."""
    program.handles_sigterm = True
    program.say(f"loss={hyperparameters(program)['rate']}")
    while not program.sleep(30):
        pass
    (program.base / "model/weights").write_text("so far")
    return 0


class Environment(JobsEnvironment):
    """The kind under test with everything around it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {"trainer": says_its_rate}, DATA)
        training = Training(capacity_s=0)  # an interrupted job has machines again at once
        self.training = Jobs(training, self.context)
        self.tuning = TuningJobs(training, self.context)

    def create(self, behaviour: Behaviour = says_its_rate, name: str = "hpo", **changes: Any) -> dict[str, Any]:
        self.runtime.behaviours["trainer"] = behaviour
        return self.tuning.create(SCOPE, request(name, **changes))

    def describe(self, name: str = "hpo") -> dict[str, Any]:
        return self.tuning.describe(SCOPE, {"HyperParameterTuningJobName": name})

    def stop(self, name: str = "hpo") -> None:
        self.tuning.stop(SCOPE, {"HyperParameterTuningJobName": name})

    def children(self, name: str = "hpo", **members: Any) -> list[dict[str, Any]]:
        found = self.tuning.list_training_jobs(
            SCOPE, {"HyperParameterTuningJobName": name, "MaxResults": 100, **members}
        )
        summaries: list[dict[str, Any]] = found["TrainingJobSummaries"]
        return summaries

    def until(self, condition: Callable[[dict[str, Any]], bool], name: str = "hpo") -> dict[str, Any]:
        until(lambda: condition(self.describe(name)), f"a state of the tuning job {name}")
        return self.describe(name)

    def ready_children(self, jobs: int) -> None:
        """Until so many training jobs that still run have said a value."""

        def ready() -> bool:
            running = [child for child in self.children() if child["TrainingJobStatus"] == "InProgress"]
            return sum("FinalHyperParameterTuningJobObjectiveMetric" in child for child in running) >= jobs

        until(ready, f"{jobs} training jobs have said a value")

    def ended(self, name: str = "hpo") -> dict[str, Any]:
        return self.until(lambda job: job["HyperParameterTuningJobStatus"] in ENDED, name)

    def run(self, behaviour: Behaviour = says_its_rate, **changes: Any) -> dict[str, Any]:
        """The description of a new tuning job at its end."""
        name = changes.get("name", "hpo")
        self.create(behaviour, **changes)
        return self.ended(name)


def refusal(environment: Environment, **changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        environment.create(**changes)
    return caught.value
