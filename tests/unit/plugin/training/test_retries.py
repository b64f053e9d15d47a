"""RetryStrategy: a job whose machine is at fault begins anew."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import Exit
from stagemaker.runtime.fake import FakeContainer, FakeProgram
from tests.unit.plugin.training.training_environment import GROUP, Environment, saves_on_sigterm, steps

LOST = Exit(137, "The engine stopped: start it.", lost=True)
ONE_ATTEMPT = ["Starting", "Downloading", "Training"]


def retries(count: int) -> dict[str, Any]:
    return {"RetryStrategy": {"MaximumRetryAttempts": count}}


def in_turn(*behaviours: Callable[[FakeProgram], int | Exit]) -> Callable[[FakeProgram], int | Exit]:
    """The next one for each attempt."""
    left = iter(behaviours)
    return lambda program: next(left)(program)


def lines(environment: Environment) -> Sequence[str]:
    return [line for found in environment.logs.lines.values() for line in found]


def loses_its_machine(program: FakeProgram) -> Exit:
    folder = program.base / "checkpoints"
    folder.joinpath("state").write_text("first")
    (program.base / "model" / "half").write_text("half")
    return LOST


def resumes(program: FakeProgram) -> int:
    assert (program.base / "checkpoints" / "state").read_text() == "first"
    (program.base / "model" / "weights").write_text("done")
    return 0


def test_a_second_attempt_continues_from_the_checkpoints(environment: Environment) -> None:
    checkpoints = {"CheckpointConfig": {"S3Uri": "s3://bucket/ck"}}
    environment.create(in_turn(loses_its_machine, resumes), **retries(1), **checkpoints)
    job = environment.ended()
    assert steps(job) == [*ONE_ATTEMPT, *ONE_ATTEMPT, "Uploading", "Completed"]
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 1}
    assert environment.archive("model") == {"weights": "done"}
    assert (
        "Stagemaker: this attempt failed, and the job begins anew: InternalServerError: The engine stopped: start it"
    ) in environment.logs.lines[GROUP, "job/algo-1-1800000000"]
    assert not list(environment.work_dir.glob("*/*"))


def test_the_attempts_come_to_an_end(environment: Environment) -> None:
    environment.create(lambda _: LOST, **retries(2))
    job = environment.ended()
    assert steps(job) == [*ONE_ATTEMPT * 3, "Failed"]
    assert job["FailureReason"] == "InternalServerError: The engine stopped: start it"


def test_without_a_strategy_there_is_one_attempt(environment: Environment) -> None:
    environment.create(lambda _: LOST)
    assert steps(environment.ended()) == [*ONE_ATTEMPT, "Failed"]


def test_a_program_that_fails_is_not_run_again(environment: Environment) -> None:
    environment.create(lambda _: 3, **retries(5))
    assert steps(environment.ended()) == [*ONE_ATTEMPT, "Failed"]


def test_data_that_is_not_there_is_not_looked_for_again(environment: Environment) -> None:
    environment.account.go_on.clear()
    environment.create(**retries(5))
    environment.until(lambda job: job["SecondaryStatus"] == "Downloading")
    environment.account.objects.clear()
    environment.account.go_on.set()
    assert steps(environment.ended()) == ["Starting", "Downloading", "Failed"]


def test_a_container_that_cannot_start_is_tried_again(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, refusals = environment.runtime.start, iter([True, False])

    def refuses(spec: Any, on_line: Any) -> FakeContainer:
        if next(refusals):
            raise ApiError("InternalFailure", "the engine is full.", 500)
        return start(spec, on_line)

    monkeypatch.setattr(environment.runtime, "start", refuses)
    environment.create(**retries(1))
    assert steps(environment.ended()) == ["Starting", "Downloading", *ONE_ATTEMPT, "Uploading", "Completed"]


def test_the_time_limit_counts_all_attempts(environment: Environment) -> None:
    def loses_after_a_while(program: FakeProgram) -> Exit:
        environment.until(lambda job: job["SecondaryStatus"] == "Training")
        environment.clock.now += 50
        return LOST

    behaviour = in_turn(loses_after_a_while, saves_on_sigterm)
    environment.create(behaviour, **retries(1), StoppingCondition={"MaxRuntimeInSeconds": 60})
    environment.ready()
    environment.clock.now += 11
    job = environment.ended()
    assert steps(job) == [*ONE_ATTEMPT, *ONE_ATTEMPT, "Uploading", "MaxRuntimeExceeded"]


def test_a_stop_ends_a_job_between_attempts(environment: Environment) -> None:
    def is_stopped(program: FakeProgram) -> Exit:
        environment.until(lambda job: job["SecondaryStatus"] == "Training")
        environment.stop()
        return LOST

    environment.create(is_stopped, **retries(30))
    job = environment.ended()
    assert steps(job)[:4] == [*ONE_ATTEMPT, "Stopping"]
    assert len(environment.runtime.started) == 1
