"""A tuning job as a resource: made once, followed with its training jobs, deleted with them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra import patience
from infra.errors import StepFailed
from infra.resources.resource import State
from infra.resources.tuning import Trial, TuningJob, best_of, next_request, trials
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

BEGAN = datetime(2026, 11, 26, tzinfo=UTC)


def summary(number: int, status: str = "Completed", value: float | None = 0.5, **tuned: str) -> dict[str, Any]:
    metric = {"Type": "Maximize", "MetricName": "validation:accuracy", "Value": value}
    return {
        "TrainingJobName": f"one-{number:03}-12345678",
        "TrainingJobStatus": status,
        "TunedHyperParameters": tuned or {"batch-size": "32"},
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(seconds=9),
        **({"FinalHyperParameterTuningJobObjectiveMetric": metric} if value is not None else {}),
    }


def described(status: str, **more: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "one",
        "HyperParameterTuningJobStatus": status,
        "BestTrainingJob": summary(2, value=0.75),
        "CreationTime": BEGAN,
        **more,
    }


def tuning(*answers: Any, summaries: list[dict[str, Any]] | None = None) -> tuple[FakeClient, TuningJob, list[Any]]:
    found = {"TrainingJobSummaries": summaries if summaries is not None else [summary(2), summary(1)]}
    client = FakeClient(
        {
            "describe_hyper_parameter_tuning_job": list(answers),
            "list_training_jobs_for_hyper_parameter_tuning_job": found,
        }
    )
    shown: list[Any] = []

    def show(state: State, each: list[Trial]) -> None:
        shown.append((state["HyperParameterTuningJobStatus"], [trial.number for trial in each]))

    logs = FakeClient({"describe_log_streams": {"logStreams": [{"logStreamName": "one-001-12345678/algo-1"}]}})
    return (
        client,
        TuningJob(
            fake_clients(sagemaker=client, logs=logs),
            {"HyperParameterTuningJobName": "one", "TrainingJobDefinition": {"RoleArn": "role/trainer"}},
            show,
        ),
        shown,
    )


def test_a_new_job_is_followed_to_its_end_with_its_training_jobs() -> None:
    client, job, shown = tuning(described("InProgress"), described("Completed"))
    assert job.create() == "validation:accuracy 0.750 with batch-size=32"
    assert client.names()[0] == "create_hyper_parameter_tuning_job"
    assert shown == [("InProgress", [1, 2]), ("Completed", [1, 2])]


def test_a_completed_job_is_as_wanted() -> None:
    _, job, _ = tuning()
    assert job.diff(described("Completed")) == []
    assert job.diff(described("InProgress"))[0].new == "Completed"
    assert job.remark({"HyperParameterTuningJobStatus": "Completed"}) == ""


def test_a_failure_says_why() -> None:
    _, job, _ = tuning(described("Failed", FailureReason="No training job succeeded after 5 attempts."))
    with pytest.raises(StepFailed) as caught:
        job.create()
    assert caught.value.reason == "The tuning job one failed: No training job succeeded after 5 attempts."


def test_it_is_deleted_with_its_training_jobs() -> None:
    client, job, _ = tuning(described("InProgress"), described("Stopped"))
    job.delete()
    assert [name for name in client.names() if name.startswith(("stop", "delete"))] == [
        "stop_hyper_parameter_tuning_job",
        "delete_hyper_parameter_tuning_job",
        "delete_training_job",
        "delete_training_job",
    ]


def test_what_a_trial_is() -> None:
    client, _, _ = tuning(summaries=[summary(12, "Stopped", None), summary(3, "InProgress", 0.25)])
    third, twelfth = trials(client, "one")
    assert (third.number, third.value, third.has_ended, third.was_stopped) == (3, 0.25, False, False)
    assert (twelfth.number, twelfth.value, twelfth.has_ended, twelfth.was_stopped) == (12, None, True, True)


def test_the_best_of_the_last_tuning_job_that_found_anything() -> None:
    later = described("Completed", HyperParameterTuningJobName="two", CreationTime=BEGAN + timedelta(days=1))
    empty = {"HyperParameterTuningJobName": "three", "CreationTime": BEGAN + timedelta(days=2)}
    client, _, _ = tuning(described("Completed"), later, empty)
    found = best_of(client, iter(["one", "two", "three"]))
    assert found is not None
    assert (found[0], found[1].value) == ("two", 0.75)
    assert best_of(client, iter([])) is None


class Blueprint:
    """Requests by attempt."""

    def tuning_request(self, attempt: int, features_job: str) -> dict[str, Any]:
        return {"HyperParameterTuningJobName": f"job-{attempt}{features_job}"}


def test_a_failed_job_has_used_up_its_name() -> None:
    client, _, _ = tuning(described("Failed"), described("Stopped"), missing())
    assert next_request(client, Blueprint()) == {"HyperParameterTuningJobName": "job-3"}  # type: ignore[arg-type]
    client, _, _ = tuning(described("InProgress"))
    found = next_request(client, Blueprint(), "-of-features")  # type: ignore[arg-type]
    assert found == {"HyperParameterTuningJobName": "job-1-of-features"}


def test_a_job_that_is_deleted_while_it_is_followed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    _, one, _ = tuning(described("InProgress"), missing())
    with pytest.raises(StepFailed, match="The tuning job one was deleted meanwhile"):
        one.create()
