"""Tuning jobs from create to the end, with real training jobs over the fake runtime."""

import threading
from functools import partial
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import TRAINING_JOB, TUNING_JOB
from stagemaker.core.refs import Ref
from stagemaker.jobs.statuses import ENDED
from stagemaker.runtime.fake import FakeProgram
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.polling import until
from tests.unit.plugin.tuning.tuning_environment import (
    Environment,
    hyperparameters,
    refusal,
    says_its_rate,
    waits,
)
from tests.unit.plugin.tuning.tuning_requests import COLOURS, NUMBERS, continuous, definition, integer, request

NO_RANGES: dict[str, Any] = {
    "IntegerParameterRanges": [],
    "ContinuousParameterRanges": [],
    "CategoricalParameterRanges": [],
}
FIXED = continuous("rate", "0.5", "0.5")


def warm(*parents: str, kind: str = "IdenticalDataAndAlgorithm") -> dict[str, Any]:
    names = [{"HyperParameterTuningJobName": name} for name in parents]
    return {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}


def test_a_tuning_job_runs_its_training_jobs_and_names_the_best(environment: Environment) -> None:
    job = environment.run(strategy="Bayesian", jobs=7, parallel=2, config={"RandomSeed": 3})
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"] == {
        "Completed": 7, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0,
    }  # fmt: skip
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 7, "Pending": 0, "Failed": 0}
    children = environment.children()
    values = [child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in children]
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == min(values)
    assert [str(value) for value in values] == [child["TunedHyperParameters"]["rate"] for child in children]
    assert "OverallBestTrainingJob" not in job
    assert not {"Strategy", "ResourceLimits", "Tags", "Stagemaker"} & job.keys()
    assert "FailureReason" not in job


def test_a_description_has_what_the_request_leaves_out(environment: Environment) -> None:
    channels = [
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/train"}},
        }
    ]
    job = environment.run(jobs=1, TrainingJobDefinition=definition(InputDataConfig=channels))
    shown = job["TrainingJobDefinition"]
    assert job["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Off"
    assert shown["StaticHyperParameters"] == {"epochs": "4", "_tuning_objective_metric": "loss"}
    for member in ("NetworkIsolation", "InterContainerTrafficEncryption", "ManagedSpotTraining"):
        assert shown[f"Enable{member}"] is False
    assert shown["InputDataConfig"] == [{**channels[0], "CompressionType": "None"}]
    assert shown["OutputDataConfig"] == {"S3OutputPath": "s3://bucket/out/"}, "no KmsKeyId"
    assert job["HyperParameterTuningJobConfig"]["ParameterRanges"] == {**NO_RANGES, **NUMBERS}


def test_a_description_says_what_autotune_chose(environment: Environment) -> None:
    ranges = {"AutoParameters": [{"Name": "rate", "ValueHint": "0.1"}]}
    job = environment.run(ranges=ranges, jobs=1, Autotune={"Mode": "Enabled"})
    assert job["Autotune"] == {"Mode": "Enabled"}
    assert job["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Auto"
    assert job["HyperParameterTuningJobConfig"]["ParameterRanges"] == {**NO_RANGES, **ranges}


def test_a_training_job_of_a_tuning_job_is_a_training_job(environment: Environment) -> None:
    environment.run(jobs=1, Tags=[{"Key": "team", "Value": "dogs"}])
    [child] = environment.children()
    name = child["TrainingJobName"]
    assert name.startswith("hpo-001-")
    found = environment.training.describe(SCOPE, {"TrainingJobName": name})
    assert found["TuningJobArn"] == Ref(SCOPE, TUNING_JOB, "hpo").arn
    assert found["HyperParameters"] == {
        "epochs": "4",
        "_tuning_objective_metric": "loss",
        **child["TunedHyperParameters"],
    }
    assert "Stagemaker" not in found
    record = environment.store.get(Ref(SCOPE, TRAINING_JOB, name))
    assert record is not None
    assert record["Tags"] == [{"Key": "team", "Value": "dogs"}]
    assert f"s3://bucket/out/{name}/output/model.tar.gz" in environment.account.objects


def test_no_more_than_the_parallel_training_jobs_run_at_once(environment: Environment) -> None:
    three, running, most = threading.Barrier(3), 0, 0

    def waits_for_two_others(program: FakeProgram) -> int:
        nonlocal running, most
        running += 1
        three.wait(20)
        most = max(most, running)
        three.wait(20)
        running -= 1
        return says_its_rate(program)

    job = environment.run(waits_for_two_others, jobs=6, parallel=3)
    assert job["TrainingJobStatusCounters"]["Completed"] == 6
    assert most == 3


def test_the_description_is_live(environment: Environment) -> None:
    go_on = threading.Event()

    def second_waits(program: FakeProgram) -> int:
        if "-002-" in program.spec.name:
            go_on.wait(20)
        return says_its_rate(program)

    environment.create(second_waits, jobs=3, parallel=2)
    job = environment.until(lambda job: job["TrainingJobStatusCounters"]["Completed"] == 2)
    assert job["HyperParameterTuningJobStatus"] == "InProgress"
    assert job["TrainingJobStatusCounters"]["InProgress"] == 1
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 2, "Pending": 1, "Failed": 0}
    assert job["BestTrainingJob"]["ObjectiveStatus"] == "Succeeded"
    environment.clock.now += 31
    environment.until(lambda job: job["ConsumedResources"]["RuntimeInSeconds"] == 31)
    go_on.set()
    assert environment.ended()["ObjectiveStatusCounters"]["Succeeded"] == 3


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_a_seed_repeats_the_configurations(environment: Environment, strategy: str) -> None:
    found = []
    for name in ("one", "two"):
        environment.run(name=name, strategy=strategy, jobs=8, config={"RandomSeed": 5})
        found.append([child["TunedHyperParameters"] for child in environment.children(name)])
    assert found[0] == found[1]


def test_a_grid_runs_every_configuration_once(environment: Environment) -> None:
    def says_its_colour(program: FakeProgram) -> int:
        program.say(f"loss={len(hyperparameters(program)['colour'])}")
        return 0

    job = environment.run(says_its_colour, strategy="Grid", ranges=COLOURS, jobs=None, parallel=2)
    assert [child["TunedHyperParameters"]["colour"] for child in environment.children()] == ["red", "blue", "green"]
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"colour": "red"}


def by_epochs(program: FakeProgram) -> int:
    """Says a loss for each of its epochs, and waits after the first ones of a bad rate until it is told to end."""
    program.handles_sigterm = True
    rate = float(hyperparameters(program)["rate"])
    for epoch in range(4):
        program.say(f"loss={rate + 1 / (epoch + 1)}")
        if rate > 0.9 and program.sleep(20):
            break
    (program.base / "model/weights").write_text("so far")
    return 0


def test_early_stopping_ends_a_bad_training_job_with_sigterm_and_keeps_its_model(environment: Environment) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.1", "0.2", "0.3", "0.95"]}]}
    job = environment.run(
        by_epochs, strategy="Grid", ranges=ranges, jobs=None, config={"TrainingJobEarlyStoppingType": "Auto"}
    )
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    children = environment.children()
    assert [child["TrainingJobStatus"] for child in children] == ["Completed", "Completed", "Completed", "Stopped"]
    assert [child["ObjectiveStatus"] for child in children] == ["Succeeded"] * 4
    assert children[3]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.95 + 1
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1
    assert f"s3://bucket/out/{children[3]['TrainingJobName']}/output/model.tar.gz" in environment.account.objects


def test_without_early_stopping_the_same_training_job_goes_on(environment: Environment) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.1", "0.2", "0.3", "0.95"]}]}
    environment.create(by_epochs, strategy="Grid", ranges=ranges, jobs=None)
    environment.until(lambda job: job["TrainingJobStatusCounters"]["Completed"] == 3)
    environment.ready_children(1)
    environment.clock.now += 5  # the tuning job looks at it once more
    environment.until(lambda job: job["ConsumedResources"]["RuntimeInSeconds"] == 5)
    assert environment.children()[3]["TrainingJobStatus"] == "InProgress"
    environment.stop()
    environment.ended()


def test_hyperband_stops_at_its_rungs(environment: Environment) -> None:
    """R is 3: the first bracket has three training jobs and one rung, after the first epoch."""
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.1", "0.2", "0.95"]}]}
    job = environment.run(
        by_epochs, strategy="Hyperband", ranges=ranges, jobs=3, static={"epochs": "3"}, config={"RandomSeed": 1}
    )
    stopped = [child for child in environment.children() if child["TrainingJobStatus"] == "Stopped"]
    assert "0.95" in [child["TunedHyperParameters"]["rate"] for child in stopped]
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"rate": "0.1"}


@pytest.mark.parametrize(
    ("checkpoints", "epochs", "status"),
    [
        pytest.param({}, [20, 21, 22], "Completed", id="it begins anew, and so do its epochs"),
        pytest.param(
            {"CheckpointConfig": {"S3Uri": "s3://bucket/ck"}}, [10, 11, 12, 20, 21, 22], "Stopped", id="it goes on"
        ),
    ],
)
def test_the_epochs_of_an_interrupted_training_job(
    environment: Environment, checkpoints: dict[str, Any], epochs: list[float], status: str
) -> None:
    """Hyperband stops whoever goes beyond max_resource, which is 3."""
    attempts, go_on = iter((1, 2)), threading.Event()

    def three_epochs(program: FakeProgram) -> int:
        attempt = next(attempts)
        program.handles_sigterm = True
        for epoch in range(3):
            program.say(f"loss={10 * attempt + epoch}")
        if checkpoints:
            (program.base / "checkpoints" / "state").write_text("3")
        while not (attempt == 2 and go_on.is_set()) and not program.sleep(0.05):
            pass
        return 0

    environment.create(
        three_epochs,
        strategy="Hyperband",
        jobs=1,
        TrainingJobDefinition=definition(
            StaticHyperParameters={"epochs": "3"},
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
            **checkpoints,
        ),
    )
    until(lambda: bool(environment.children()), "there is a training job")
    child = Ref(SCOPE, TRAINING_JOB, environment.children()[0]["TrainingJobName"])

    def values() -> list[float]:
        return [value for _, value in environment.store.series(child, "loss")]

    def looked_again(before: float, job: dict[str, Any]) -> bool:
        return job["HyperParameterTuningJobStatus"] in ENDED or job["ConsumedResources"]["RuntimeInSeconds"] > before

    until(lambda: values() == [10, 11, 12], "the first attempt has said its epochs")
    assert environment.training.interrupt(child)
    until(lambda: values()[-1:] == [22], "the second attempt has said its epochs")
    assert values() == epochs
    for _ in range(2):  # the tuning job looks at it once more, from the beginning of a look to its end
        before = environment.describe()["ConsumedResources"]["RuntimeInSeconds"]
        environment.clock.now += 5
        environment.until(partial(looked_again, before))
    go_on.set()
    environment.ended()
    assert [each["TrainingJobStatus"] for each in environment.children()] == [status]


def test_a_target_that_is_reached_completes_the_job(environment: Environment) -> None:
    ranges = {"CategoricalParameterRanges": [{"Name": "rate", "Values": ["0.5", "0.1", "0.4", "0.3"]}]}
    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.1}}
    job = environment.run(strategy="Grid", ranges=ranges, jobs=None, config=criteria)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_target_that_is_reached_ends_those_that_still_run(environment: Environment) -> None:
    def first_is_good(program: FakeProgram) -> int:
        if "-001-" in program.spec.name:
            program.say("loss=0.01")
            return 0
        return waits(program)

    criteria = {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.05}}
    job = environment.run(first_is_good, jobs=5, parallel=3, config=criteria)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] >= 1
    assert job["TrainingJobStatusCounters"]["InProgress"] == 0


def test_training_jobs_that_do_not_improve_complete_the_job(environment: Environment) -> None:
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    ranges = {**integer("n", "1", "100"), **FIXED}
    job = environment.run(ranges=ranges, jobs=50, config={"TuningJobCompletionCriteria": criteria})
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    assert job["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


@pytest.mark.parametrize(("flag", "jobs"), [("Enabled", 21), ("Disabled", 23)])
def test_convergence_has_its_time_and_completes_only_if_asked_for(
    environment: Environment, flag: str, jobs: int
) -> None:
    criteria = {"ConvergenceDetected": {"CompleteOnConvergence": flag}}
    ranges = {**integer("n", "1", "100"), **FIXED}
    job = environment.run(ranges=ranges, jobs=23, parallel=1, config={"TuningJobCompletionCriteria": criteria})
    assert job["TrainingJobStatusCounters"]["Completed"] == jobs
    assert job["TuningJobCompletionDetails"]["ConvergenceDetectedTime"] == environment.clock.now


def test_the_time_limit_completes_the_job_and_ends_its_training_jobs(environment: Environment) -> None:
    environment.create(waits, jobs=5, parallel=2, limits={"MaxRuntimeInSeconds": 120})
    environment.ready_children(2)
    environment.clock.now += 119
    environment.until(lambda job: job["ConsumedResources"]["RuntimeInSeconds"] == 119)
    assert environment.describe()["TrainingJobStatusCounters"]["InProgress"] == 2
    environment.clock.now += 1
    job = environment.ended()
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert "BestTrainingJob" in job


def test_a_stop_ends_the_training_jobs_and_still_names_the_best(environment: Environment) -> None:
    environment.create(waits, jobs=5, parallel=2)
    environment.ready_children(2)
    environment.stop()
    job = environment.ended()
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    children = environment.children()
    assert len(children) == 2, "no other began"
    best = min(child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in children)
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == best
    for child in children:
        assert f"s3://bucket/out/{child['TrainingJobName']}/output/model.tar.gz" in environment.account.objects
    with pytest.raises(ApiError, match="is in status Stopped"):
        environment.stop()


def test_failing_training_jobs_end_the_tuning_job_after_five(environment: Environment) -> None:
    job = environment.run(lambda program: 1, jobs=20, parallel=1)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"] == (
        "No training job succeeded after 5 attempts. Please take a look at the training job failures to get more "
        "details."
    )
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 5
    assert "BestTrainingJob" not in job


def test_one_training_job_that_fails_is_counted_and_the_search_goes_on(environment: Environment) -> None:
    def second_fails(program: FakeProgram) -> int:
        return 1 if "-002-" in program.spec.name else says_its_rate(program)

    job = environment.run(second_fails, jobs=4, strategy="Bayesian")
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 1}
    assert environment.children()[1]["FailureReason"].startswith("AlgorithmError")


@pytest.mark.parametrize("line", ["", "loss=nan", "loss=inf", "loss=-inf", "LOSS=1"])
def test_an_objective_that_is_never_a_number_fails_the_job(environment: Environment, line: str) -> None:
    def says(program: FakeProgram) -> int:
        program.say(line)
        return 0

    given = definition()
    given["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(\\S+)"}]
    job = environment.run(says, jobs=2, TrainingJobDefinition=given)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("No objective metrics found after running 2 training jobs.")
    assert job["TrainingJobStatusCounters"]["Completed"] == 2
    assert job["ObjectiveStatusCounters"]["Failed"] == 2


def test_numbers_among_nan_and_infinity_count(environment: Environment) -> None:
    def says(program: FakeProgram) -> int:
        for value in ("nan", "0.25", "inf", "nan"):
            program.say(f"loss={value}")
        return 0

    given = definition()
    given["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(\\S+)"}]
    job = environment.run(says, jobs=1, TrainingJobDefinition=given)
    assert job["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.25


def test_a_regex_that_backtracks_for_ever_holds_nothing_up(environment: Environment) -> None:
    def says(program: FakeProgram) -> int:
        for _ in range(20):
            program.say("a" * 4000)
        return says_its_rate(program)

    given = definition()
    given["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "loss", "Regex": "loss=([0-9.]+)"},
        {"Name": "slow", "Regex": "(a|aa)+$b"},
    ]
    job = environment.run(says, jobs=1, TrainingJobDefinition=given)
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 1


def test_a_training_job_that_is_stopped_by_hand_is_no_end_of_the_search(environment: Environment) -> None:
    def first_waits(program: FakeProgram) -> int:
        return waits(program) if "-001-" in program.spec.name else says_its_rate(program)

    environment.create(first_waits, jobs=3)
    environment.ready_children(1)
    environment.training.stop(SCOPE, {"TrainingJobName": environment.children()[0]["TrainingJobName"]})
    job = environment.ended()
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert (job["TrainingJobStatusCounters"]["Stopped"], job["TrainingJobStatusCounters"]["Completed"]) == (1, 2)
    assert job["ObjectiveStatusCounters"]["Succeeded"] == 3


def test_a_training_job_that_hangs_ends_by_its_own_time_limit(environment: Environment) -> None:
    environment.create(waits, jobs=1)
    environment.ready_children(1)
    environment.clock.now += 601
    job = environment.ended()
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 1


def test_an_ended_training_job_that_is_deleted_stays_counted(environment: Environment) -> None:
    def second_waits(program: FakeProgram) -> int:
        return waits(program) if "-002-" in program.spec.name else says_its_rate(program)

    environment.create(second_waits, jobs=2)
    environment.until(lambda job: job["TrainingJobStatusCounters"]["Completed"] == 1)
    environment.training.delete(SCOPE, {"TrainingJobName": environment.children()[0]["TrainingJobName"]})
    environment.ready_children(1)
    environment.stop()
    job = environment.ended()
    assert (job["TrainingJobStatusCounters"]["Completed"], job["TrainingJobStatusCounters"]["Stopped"]) == (1, 1)


def test_training_jobs_that_cannot_be_created_fail_the_tuning_job(environment: Environment) -> None:
    go_on = threading.Event()

    def first_waits(program: FakeProgram) -> int:
        says_its_rate(program)
        go_on.wait(20)
        return 0

    environment.create(first_waits, jobs=3)
    environment.ready_children(1)
    del environment.runtime.behaviours["trainer"]
    go_on.set()
    job = environment.ended()
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: ")
    assert job["TrainingJobStatusCounters"]["Completed"] == 1
    assert job["BestTrainingJob"]["TrainingJobStatus"] == "Completed"


def test_a_shutdown_ends_everything(environment: Environment) -> None:
    environment.create(waits, jobs=5, parallel=3)
    environment.ready_children(3)
    environment.supervisor.close()
    assert environment.describe()["HyperParameterTuningJobStatus"] == "Failed"
    assert environment.describe()["FailureReason"] == "InternalServerError: LocalStack was shut down."
    assert [container.running for container in environment.runtime.containers] == [False] * 3


def test_the_study_goes_to_s3_beside_the_models(environment: Environment) -> None:
    environment.run(jobs=2)
    assert b"training job" in environment.account.objects["s3://bucket/out/hpo/study.journal"]


def test_a_study_that_cannot_be_saved_fails_nothing(environment: Environment) -> None:
    def breaks_s3(program: FakeProgram) -> int:
        environment.account.fail_uploads = "no"
        return says_its_rate(program)

    job = environment.run(breaks_s3, jobs=1)
    assert job["TrainingJobStatusCounters"]["NonRetryableError"] == 1, "the model could not be saved either"
    assert job["FailureReason"].startswith("No training job succeeded after 1 attempts.")


def test_several_definitions_take_turns(environment: Environment) -> None:
    own = {"TuningObjective": {"Type": "Minimize", "MetricName": "loss"}}
    definitions = [
        definition(DefinitionName="low", HyperParameterRanges=continuous("rate", "0.1", "0.2"), **own),
        definition(DefinitionName="high", HyperParameterRanges=continuous("rate", "0.7", "0.8"), **own),
    ]
    config = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None}
    job = environment.run(jobs=4, config=config, TrainingJobDefinition=None, TrainingJobDefinitions=definitions)
    assert [child["TrainingJobDefinitionName"] for child in environment.children()] == ["low", "high", "low", "high"]
    assert job["BestTrainingJob"]["TrainingJobDefinitionName"] == "low"
    assert "TrainingJobDefinition" not in job
    assert [each["DefinitionName"] for each in job["TrainingJobDefinitions"]] == ["low", "high"]
    ranges = [each["HyperParameterRanges"] for each in job["TrainingJobDefinitions"]]
    assert ranges[0] == {**NO_RANGES, **continuous("rate", "0.1", "0.2")}


def test_a_grid_over_several_definitions_runs_each_to_its_end(environment: Environment) -> None:
    own = {"TuningObjective": {"Type": "Minimize", "MetricName": "loss"}}
    definitions = [
        definition(
            DefinitionName=name,
            HyperParameterRanges={"CategoricalParameterRanges": [{"Name": "rate", "Values": values}]},
            **own,
        )
        for name, values in (("a", ["1", "2", "3"]), ("b", ["4"]))
    ]
    config = {"HyperParameterTuningJobObjective": None, "ParameterRanges": None}
    environment.run(
        strategy="Grid", jobs=None, config=config, TrainingJobDefinition=None, TrainingJobDefinitions=definitions
    )
    assert [child["TunedHyperParameters"]["rate"] for child in environment.children()] == ["1", "4", "2", "3"]


def test_the_next_instances_are_taken_when_the_first_cannot_be_had(environment: Environment) -> None:
    configs = [{"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1} for count in (21, 2)]
    given = definition(
        ResourceConfig=None,
        HyperParameterTuningResourceConfig={"AllocationStrategy": "Prioritized", "InstanceConfigs": configs},
    )
    environment.run(jobs=1, TrainingJobDefinition=given)
    name = environment.children()[0]["TrainingJobName"]
    found = environment.training.describe(SCOPE, {"TrainingJobName": name})
    assert found["ResourceConfig"] == configs[1]
    shown = environment.describe()["TrainingJobDefinition"]
    assert shown["HyperParameterTuningResourceConfig"] == given["HyperParameterTuningResourceConfig"]
    assert shown["ResourceConfig"] == configs[0], "SDK 2 reads it when it attaches to the job"
    given["HyperParameterTuningResourceConfig"]["InstanceConfigs"] = configs[:1]
    assert refusal(environment, name="other", TrainingJobDefinition=given).code == "ResourceLimitExceeded"


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"RoleArn": "arn:aws:iam::123456789012:role/other"}, "ValidationException", 400),
        (
            {"InputDataConfig": [{"ChannelName": "train", "DataSource": {"FileSystemDataSource": {}}}]},
            "NotImplementedException",
            501,
        ),
        ({"OutputDataConfig": {"S3OutputPath": "s3://nowhere/out"}}, "ValidationException", 400),
    ],
)
def test_what_its_training_jobs_could_not_do_is_refused_at_once(
    environment: Environment, changes: dict[str, Any], code: str, status: int
) -> None:
    error = refusal(environment, TrainingJobDefinition=definition(**changes))
    assert (error.code, error.status) == (code, status)
    with pytest.raises(ApiError):
        environment.describe()


def test_a_warm_start_learns_from_its_parents_and_names_the_best_of_all(environment: Environment) -> None:
    environment.run(name="parent", jobs=6, strategy="Bayesian", config={"RandomSeed": 1})
    best = environment.describe("parent")["BestTrainingJob"]
    ranges = continuous("rate", "0", "1", ScalingType="Linear")
    job = environment.run(
        name="child",
        jobs=2,
        strategy="Bayesian",
        ranges=ranges,
        config={"RandomSeed": 9},
        WarmStartConfig=warm("parent"),
    )
    own = job["BestTrainingJob"]
    overall = min((best, own), key=lambda each: each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["OverallBestTrainingJob"]["TrainingJobName"] == overall["TrainingJobName"]
    assert job["TrainingJobStatusCounters"]["Completed"] == 2, "the parents' are not counted"
    assert job["WarmStartConfig"] == warm("parent")
    study = environment.account.objects["s3://bucket/out/child/study.journal"]
    assert study.count(b"warm start") == 6


def test_a_warm_start_is_not_recursive(environment: Environment) -> None:
    environment.run(name="first", jobs=3)
    environment.run(name="second", jobs=2, WarmStartConfig=warm("first"))
    environment.run(name="third", jobs=1, WarmStartConfig=warm("second"))
    study = environment.account.objects["s3://bucket/out/third/study.journal"]
    assert study.count(b"warm start") == 2


def test_transfer_learning_begins_with_the_best_and_does_not_compare_values(environment: Environment) -> None:
    environment.run(name="parent", jobs=4)
    best = environment.describe("parent")["BestTrainingJob"]
    job = environment.run(name="child", jobs=2, WarmStartConfig=warm("parent", kind="TransferLearning"))
    assert environment.children("child")[0]["TunedHyperParameters"] == best["TunedHyperParameters"]
    assert "OverallBestTrainingJob" not in job


def test_a_parent_that_does_not_exist_or_still_runs_is_refused(environment: Environment) -> None:
    error = refusal(environment, WarmStartConfig=warm("nobody"))
    assert (error.code, error.message) == (
        "ResourceNotFound",
        "Amazon SageMaker can't find a tuning job called nobody. Type another name.",
    )
    environment.create(waits, name="parent")
    assert "must be in a terminal state" in refusal(environment, WarmStartConfig=warm("parent")).message
    environment.stop("parent")
    environment.ended("parent")


def test_a_name_is_taken_once_also_when_two_ask_at_the_same_time(environment: Environment) -> None:
    answers: list[str] = []

    def create() -> None:
        try:
            environment.tuning.create(SCOPE, request(jobs=1))
            answers.append("created")
        except ApiError as error:
            answers.append(error.code)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["ResourceInUse"] * 3 + ["created"]
    environment.ended()
    error = refusal(environment)
    assert error.message == ("A hyperparameter tuning job with the name, hpo, already exists. Choose a different name.")
    assert len(environment.children()) == 1


def test_a_hundred_tuning_jobs_at_a_time_are_the_quota(environment: Environment) -> None:
    for number in range(100):
        ref = Ref(SCOPE, TUNING_JOB, f"t{number}")
        environment.store.put(
            ref, {"HyperParameterTuningJobStatus": "InProgress", "HyperParameterTuningJobArn": ref.arn}
        )
    error = refusal(environment)
    assert error.code == "ResourceLimitExceeded"
    assert "is 100, with current utilization of 100 and a request delta of 1." in error.message


def test_a_missing_tuning_job_is_named(environment: Environment) -> None:
    said = "Amazon SageMaker can't find a tuning job called hpo. Type another name."
    for call in (environment.describe, environment.stop, environment.children):
        with pytest.raises(ApiError) as caught:
            call()
        assert (caught.value.code, caught.value.message) == ("ResourceNotFound", said)


def test_delete_forgets_an_ended_tuning_job_only_and_leaves_its_training_jobs(environment: Environment) -> None:
    environment.create(waits, jobs=1)
    with pytest.raises(ApiError, match="stop it first"):
        environment.tuning.delete(SCOPE, {"HyperParameterTuningJobName": "hpo"})
    environment.ready_children(1)
    environment.stop()
    environment.ended()
    name = environment.children()[0]["TrainingJobName"]
    environment.tuning.delete(SCOPE, {"HyperParameterTuningJobName": "hpo"})
    with pytest.raises(ApiError, match="can't find a tuning job"):
        environment.describe()
    assert environment.training.describe(SCOPE, {"TrainingJobName": name})["TrainingJobStatus"] == "Stopped"
    environment.clock.now += 1
    environment.run(jobs=2)
    assert len(environment.children()) == 2, "the training job of the deleted one is not the new one's"


def test_tuning_jobs_are_listed_by_name_with_their_counters(environment: Environment) -> None:
    for name in ("b", "a"):
        environment.run(name=name, jobs=1)
    found = environment.tuning.list(SCOPE, {})["HyperParameterTuningJobSummaries"]
    assert [each["HyperParameterTuningJobName"] for each in found] == ["a", "b"]
    assert found[0]["Strategy"] == "Random"
    assert found[0]["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    assert found[0]["TrainingJobStatusCounters"]["Completed"] == 1
    newest = environment.tuning.list(SCOPE, {"SortBy": "Name", "SortOrder": "Descending", "MaxResults": 1})
    assert newest["HyperParameterTuningJobSummaries"][0]["HyperParameterTuningJobName"] == "b"
    assert "NextToken" in newest


def test_training_jobs_are_sorted_and_paged(environment: Environment) -> None:
    def third_fails(program: FakeProgram) -> int:
        return 1 if "-003-" in program.spec.name else says_its_rate(program)

    environment.run(third_fails, jobs=5)
    assert [child["TrainingJobName"][:7] for child in environment.children()] == [f"hpo-00{n}" for n in range(1, 6)]
    found: list[dict[str, Any]] = []
    token: dict[str, str] = {}
    while len(found) < 10:
        answer = environment.tuning.list_training_jobs(
            SCOPE,
            {"HyperParameterTuningJobName": "hpo", "SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending",
             "MaxResults": 3, **token},
        )  # fmt: skip
        found += answer["TrainingJobSummaries"]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    values = [child["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for child in found]
    assert len(values) == 4, "a job without a value is left out"
    assert values == sorted(values, reverse=True)
    assert [child["TrainingJobStatus"] for child in environment.children(StatusEquals="Failed")] == ["Failed"]
    assert [child["TrainingJobStatus"] for child in environment.children(SortBy="Status")][-1] == "Failed"
