"""UpdateTrainingJob."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.training.updates import TrainingUpdates
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.training.training_environment import Environment, saves_on_sigterm
from tests.unit.plugin.training.training_requests import resources


def update(environment: Environment, **changes: Any) -> dict[str, Any]:
    updates = TrainingUpdates(environment.store, environment.clock)
    return updates.update_training_job(SCOPE, {"TrainingJobName": "job", **changes})


def refusal(environment: Environment, **changes: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        update(environment, **changes)
    return caught.value


@pytest.fixture
def running(environment: Environment) -> Environment:
    """With a job that goes on until it is stopped."""
    profiler = {"S3OutputPath": "s3://bucket/profile", "ProfilingIntervalInMilliseconds": 500}
    environment.create(saves_on_sigterm, **resources(KeepAlivePeriodInSeconds=60), ProfilerConfig=profiler)
    environment.ready()
    return environment


def test_what_is_given_replaces_what_there_was(running: Environment) -> None:
    running.clock.now += 5
    answer = update(
        running,
        ProfilerConfig={"ProfilingIntervalInMilliseconds": 1000},
        ResourceConfig={"KeepAlivePeriodInSeconds": 0},
        RemoteDebugConfig={"EnableRemoteDebug": False},
        ProfilerRuleConfigurations=[],
    )
    assert answer == {"TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/job"}
    job = running.describe()
    assert job["ProfilerConfig"] == {"S3OutputPath": "s3://bucket/profile", "ProfilingIntervalInMilliseconds": 1000}
    assert job["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 0
    assert job["ResourceConfig"]["InstanceType"] == "ml.m5.large"
    assert job["RemoteDebugConfig"] == {"EnableRemoteDebug": False}
    assert job["LastModifiedTime"] == running.clock.now


def test_what_would_have_to_be_executed_is_refused_by_name(running: Environment) -> None:
    before = running.describe()
    rules = [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}]
    error = refusal(running, ProfilerRuleConfigurations=rules, RemoteDebugConfig={"EnableRemoteDebug": True})
    assert error.status == 501
    assert "ProfilerRuleConfigurations, RemoteDebugConfig.EnableRemoteDebug=True" in error.message
    assert running.describe() == before


def test_a_job_that_is_not_there(environment: Environment) -> None:
    error = refusal(environment)
    assert (error.code, error.message) == ("ValidationException", "Requested resource not found.")


def test_a_job_that_has_ended_and_one_that_cannot_be_debugged(running: Environment) -> None:
    running.stop()
    running.ended()
    error = refusal(running, ResourceConfig={"KeepAlivePeriodInSeconds": 60})
    assert error.message == "The request was rejected because the training job is in status Stopped (Stopped)."


def test_remote_debugging_changes_while_the_job_downloads_or_trains_only(environment: Environment) -> None:
    environment.account.go_on.clear()
    environment.create()
    environment.until(lambda job: job["SecondaryStatus"] == "Downloading")
    update(environment, RemoteDebugConfig={"EnableRemoteDebug": False})
    environment.stop()
    assert refusal(environment, RemoteDebugConfig={"EnableRemoteDebug": False}).code == "ValidationException"
    update(environment, ProfilerConfig={"DisableProfiler": True})
    environment.account.go_on.set()
    environment.ended()
