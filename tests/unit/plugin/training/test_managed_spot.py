"""Managed spot training over the fake runtime: interrupted by a call or by its schedule, and resumed."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB
from stagemaker.core.refs import Ref
from stagemaker.jobs.jobs import Jobs
from stagemaker.runtime.fake import FakeProgram
from stagemaker.training.interruption import Interruptions
from stagemaker.training.spot import SHARE, Schedule
from stagemaker.training.training import Training
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.training.training_environment import Environment, refusal, steps, trains

SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
    "CheckpointConfig": {"S3Uri": "s3://bucket/ck"},
}
ATTEMPT = ["Starting", "Downloading", "Training"]


class SpotEnvironment(Environment):
    """Jobs that have machines again at once after an interruption."""

    def __init__(self, folder: Path, schedule: Schedule | None = None, capacity_s: float = 0) -> None:
        super().__init__(folder)
        self.training = Jobs(Training(schedule, capacity_s), self.context)
        self.interruptions = Interruptions(self.store, self.training)
        self.arn = Ref(SCOPE, TRAINING_JOB, "job").arn

    def interrupt(self) -> None:
        self.interruptions.interrupt(self.arn)

    def interruption_refused(self) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.interrupt()
        return caught.value


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., SpotEnvironment]]:
    """Makes environments, which are closed afterwards."""
    environments: list[SpotEnvironment] = []

    def make(schedule: Schedule | None = None, capacity_s: float = 0) -> SpotEnvironment:
        environments.append(SpotEnvironment(tmp_path / str(len(environments)), schedule, capacity_s))
        return environments[-1]

    yield make
    for environment in environments:
        environment.close()


@pytest.fixture
def spot(made: Callable[..., SpotEnvironment]) -> SpotEnvironment:
    return made()


def resumes(program: FakeProgram) -> int:
    """Counts its attempts in a checkpoint; the first waits for its end, the second is the last."""
    state = program.base / "checkpoints" / "attempts"
    if state.exists():
        (program.base / "model" / "weights").write_text(f"resumed from {state.read_text()}")
        return 0
    program.handles_sigterm = True
    program.say("ready")
    while not program.sleep(30):
        pass
    state.write_text("1")
    return 0


def waits(program: FakeProgram) -> int:
    program.say("ready")
    while not program.sleep(30):
        pass
    return 0


def test_an_interrupted_job_goes_on_from_its_checkpoint(spot: SpotEnvironment) -> None:
    spot.create(resumes, **SPOT)
    spot.ready()
    spot.interrupt()
    job = spot.ended()
    assert steps(job) == [*ATTEMPT, "Interrupted", *ATTEMPT, "Uploading", "Completed"]
    assert spot.archive("model") == {"weights": "resumed from 1"}
    assert job["EnableManagedSpotTraining"] is True
    assert spot.account.objects["s3://bucket/ck/attempts"] == b"1"
    assert not list(spot.work_dir.glob("*/*"))


def test_the_time_without_machines_is_not_billed(spot: SpotEnvironment) -> None:
    def takes_a_minute(program: FakeProgram) -> int:
        spot.clock.now += 100
        return resumes(program)

    spot.create(takes_a_minute, **SPOT)
    spot.ready()
    spot.interrupt()
    job = spot.ended()
    assert job["TrainingTimeInSeconds"] == 200
    assert job["BillableTimeInSeconds"] == round(200 * SHARE)


def test_a_job_of_which_nothing_was_asked_completes_in_one_attempt(spot: SpotEnvironment) -> None:
    spot.create(trains, **SPOT)
    assert steps(spot.ended()) == [*ATTEMPT, "Uploading", "Completed"]


def test_a_schedule_interrupts_each_attempt_at_its_time(made: Callable[..., SpotEnvironment]) -> None:
    schedule = Schedule(seed=3, mean_s=60)
    spot = made(schedule)
    spot.create(resumes, **SPOT)
    spot.ready()
    spot.clock.now += math.floor(schedule.interruption_s("job", 1))
    assert steps(spot.describe()) == ATTEMPT
    spot.clock.now += 1
    assert steps(spot.ended())[3:5] == ["Interrupted", "Starting"]


def test_other_training_is_not_interrupted(made: Callable[..., SpotEnvironment]) -> None:
    spot = made(Schedule(seed=3, mean_s=0.001))
    spot.create(waits)
    spot.ready()
    assert spot.interruption_refused().message == "The training job job is not managed spot training."
    spot.clock.now += 10
    spot.stop()
    assert "Interrupted" not in steps(spot.ended())


def test_whoever_waits_for_too_long_ends_so(made: Callable[..., SpotEnvironment]) -> None:
    spot = made(capacity_s=60)
    spot.create(waits, **SPOT)
    spot.ready()
    spot.interrupt()
    spot.until(lambda job: job["SecondaryStatus"] == "Interrupted")
    spot.clock.now += 900
    job = spot.ended()
    assert steps(job) == [*ATTEMPT, "Interrupted", "Stopping", "MaxWaitTimeExceeded"]
    assert job["TrainingJobStatus"] == "Stopped"


def test_the_time_of_waiting_counts_from_the_job_s_creation(spot: SpotEnvironment) -> None:
    spot.account.go_on.clear()
    spot.create(waits, **{**SPOT, "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600}})
    assert spot.account.downloading.wait(20)
    spot.clock.now += 100
    spot.account.go_on.set()
    spot.ready()
    spot.until(lambda job: job["SecondaryStatus"] == "Training")
    spot.clock.now += 500
    assert steps(spot.ended()) == [*ATTEMPT, "Uploading", "MaxWaitTimeExceeded"]


def test_a_stop_while_it_waits(made: Callable[..., SpotEnvironment]) -> None:
    spot = made(capacity_s=60)
    spot.create(waits, **SPOT)
    spot.ready()
    spot.interrupt()
    spot.until(lambda job: job["SecondaryStatus"] == "Interrupted")
    refused = spot.interruption_refused()
    assert (refused.code, refused.status) == ("ConflictException", 409)
    spot.stop()
    assert steps(spot.ended())[-2:] == ["Stopping", "Stopped"]


def test_nobody_is_interrupted_by_a_wrong_name(spot: SpotEnvironment) -> None:
    assert spot.interruption_refused().message == f"There is no training job {spot.arn}."


@pytest.mark.parametrize(
    "condition",
    [{}, {"MaxWaitTimeInSeconds": 3600}, {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 599}],
)
def test_the_time_of_waiting_is_there_and_long_enough(spot: SpotEnvironment, condition: dict[str, Any]) -> None:
    error = refusal(spot, **{**SPOT, "StoppingCondition": condition})
    assert error.message == (
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
    )


def test_other_training_has_no_time_of_waiting(spot: SpotEnvironment) -> None:
    error = refusal(spot, StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60})
    assert error.code == "ValidationException"
