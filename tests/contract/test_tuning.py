"""Tuning jobs through a real LocalStack: their training jobs are processes of the gateway's small trainer."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from tests.contract.gateway import Gateway, make_bucket, make_role, running, until
from tests.contract.tuning_requests import children, describe, tuned, tuning_request


@pytest.fixture(scope="module")
def sagemaker(gateway: Gateway) -> Any:
    return gateway.client("sagemaker")


def test_eight_training_jobs_in_parallel_find_a_best_one(gateway: Gateway, sagemaker: Any, role: str) -> None:
    config = {"Strategy": "Bayesian", "RandomSeed": 1}
    tags = [{"Key": "team", "Value": "dogs"}]
    sagemaker.create_hyper_parameter_tuning_job(
        **tuning_request("eight", role, jobs=8, parallel=3, config=config, Tags=tags)
    )
    job = tuned(sagemaker, "eight")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 8
    best = job["BestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"] == {"MetricName": "accuracy", "Value": 0.75}
    found = sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])
    assert found["TuningJobArn"] == job["HyperParameterTuningJobArn"]
    assert found["HyperParameters"] == {"_tuning_objective_metric": "accuracy", **best["TunedHyperParameters"]}
    assert sagemaker.list_tags(ResourceArn=found["TrainingJobArn"])["Tags"] == tags
    uri = found["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://data/out/{best['TrainingJobName']}/output/model.tar.gz"
    gateway.client("s3").head_object(Bucket="data", Key=uri.removeprefix("s3://data/"))


def test_optuna_opens_the_study_that_the_job_left_in_s3(
    gateway: Gateway, sagemaker: Any, role: str, tmp_path: Path
) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("studied", role, jobs=3))
    tuned(sagemaker, "studied")
    path = tmp_path / "study.journal"
    gateway.client("s3").download_file("data", "out/studied/study.journal", str(path))
    study = optuna.load_study(
        study_name="studied", storage=optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    )
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 3
    assert study.best_value == 0.75


def test_a_stop_ends_the_processes_and_names_the_best(sagemaker: Any, role: str) -> None:
    request = tuning_request("stopped", role, definition={"StaticHyperParameters": {"wait": "1"}})
    sagemaker.create_hyper_parameter_tuning_job(**request)
    until(
        lambda: [
            child for child in children(sagemaker, "stopped") if "FinalHyperParameterTuningJobObjectiveMetric" in child
        ],
        lambda ready: len(ready) == 2,
    )
    sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="stopped")
    assert describe(sagemaker, "stopped")["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    job = tuned(sagemaker, "stopped")
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert [child["TrainingJobStatus"] for child in children(sagemaker, "stopped")] == ["Stopped"] * 2
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.75, "said after SIGTERM"


def test_early_stopping_ends_a_process_that_is_worse_than_the_median(sagemaker: Any, role: str) -> None:
    curves = ["0.6 0.7", "0.7 0.8", "0.8 0.9", "0.1 wait"]
    config = {
        "Strategy": "Grid",
        "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "curve", "Values": curves}]},
        "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        "TrainingJobEarlyStoppingType": "Auto",
    }
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("early", role, config=config))
    job = tuned(sagemaker, "early")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    found = children(sagemaker, "early")
    assert [child["TrainingJobStatus"] for child in found] == ["Completed", "Completed", "Completed", "Stopped"]
    assert found[3]["TunedHyperParameters"] == {"curve": "0.1 wait"}
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_a_warm_start_goes_on_from_its_parent(sagemaker: Any, role: str) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("parent", role, jobs=2))
    tuned(sagemaker, "parent")
    parents = [{"HyperParameterTuningJobName": "parent"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "IdenticalDataAndAlgorithm"}
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("child", role, jobs=2, WarmStartConfig=warm))
    job = tuned(sagemaker, "child")
    assert job["OverallBestTrainingJob"]["TrainingJobName"].startswith("parent-001-"), "the first of equals"
    assert job["BestTrainingJob"]["TrainingJobName"].startswith("child-001-")


def test_training_jobs_are_sorted_by_their_objective_and_paged(sagemaker: Any, role: str) -> None:
    sagemaker.create_hyper_parameter_tuning_job(**tuning_request("sorted", role, jobs=3))
    tuned(sagemaker, "sorted")
    first = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="sorted", SortBy="FinalObjectiveMetricValue", SortOrder="Descending", MaxResults=2
    )
    rest = children(
        sagemaker,
        "sorted",
        SortBy="FinalObjectiveMetricValue",
        SortOrder="Descending",
        MaxResults=2,
        NextToken=first["NextToken"],
    )
    names = [child["TrainingJobName"][:10] for child in (*first["TrainingJobSummaries"], *rest)]
    assert names == ["sorted-003", "sorted-002", "sorted-001"]


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"config": {"Strategy": "Grid"}}, "ValidationException", "categorical hyperparameters only, not rate."),
        ({"jobs": 751}, "ResourceLimitExceeded", "is 750, with current utilization of 0"),
        ({"config": {"Strategy": "Guess"}}, "ValidationException", "Member must satisfy enum value set"),
    ],
)
def test_a_request_that_cannot_be_is_refused(
    sagemaker: Any, role: str, changes: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(sagemaker.exceptions.ClientError) as caught:
        sagemaker.create_hyper_parameter_tuning_job(**tuning_request("refused", role, **changes))
    error = caught.value.response["Error"]
    assert error["Code"] == code
    assert said in error["Message"]


def test_nothing_runs_on_when_localstack_is_killed(tmp_path: Path) -> None:
    with ExitStack() as ending:
        own = ending.enter_context(running(tmp_path))
        make_bucket(own, "data", {"train/1.txt": b"cat"})
        waiting = {"StaticHyperParameters": {"wait": "1"}}
        request = tuning_request("killed", make_role(own, "stage"), jobs=6, parallel=3, definition=waiting)
        own.client("sagemaker").create_hyper_parameter_tuning_job(**request)
        until(lambda: _processes(tmp_path), lambda found: len(found) >= 3)
        own.localstack.process.kill()
        until(lambda: _processes(tmp_path), lambda found: found == [])
        with pytest.raises(AssertionError):  # it did not end in good order
            ending.close()


def _processes(folder: Path) -> list[str]:
    """The trainers that run from an image below the folder."""
    trainer = str(folder / "images" / "trainer" / "train")
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if trainer in command:
            found.append(command)
    return found
