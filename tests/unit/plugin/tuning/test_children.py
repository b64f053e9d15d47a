"""The requests of a tuning job's training jobs."""

from stagemaker.core.kinds import TUNING_JOB
from stagemaker.core.refs import Ref
from stagemaker.tuning.children import child_name, child_request
from stagemaker.tuning.plan import tuning_plan
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.tuning.tuning_requests import definition, request


def test_a_name_has_the_number_of_the_job() -> None:
    assert child_name("hpo", 17, "a301f0d0") == "hpo-017-a301f0d0"
    assert child_name("hpo", 1000, "a301f0d0") == "hpo-1000-a301f0d0"


def test_a_training_job_has_all_of_its_definition_and_its_own_hyperparameters() -> None:
    more = {
        "Environment": {"A": "1"},
        "InputDataConfig": [{"ChannelName": "train"}],
        "CheckpointConfig": {"S3Uri": "s3://bucket/checkpoints/", "LocalPath": "/opt/ml/checkpoints"},
        "RetryStrategy": {"MaximumRetryAttempts": 2},
        "DefinitionName": "small",
    }
    given = request(TrainingJobDefinition=definition(**more), Tags=[{"Key": "team", "Value": "dogs"}])
    ref = Ref(SCOPE, TUNING_JOB, "hpo")
    plan = tuning_plan(ref, given)
    [found] = plan.definitions
    made = child_request(plan, found, found.resources[0], "hpo-001-0", {"rate": "0.5"})
    assert made["HyperParameters"] == {"epochs": "4", "_tuning_objective_metric": "loss", "rate": "0.5"}
    assert made["Stagemaker"]["Tuning"] == {"Definition": "small", "Metric": "loss", "Tuned": {"rate": "0.5"}}
    assert (made["TrainingJobName"], made["TuningJobArn"]) == ("hpo-001-0", ref.arn)
    assert made["Tags"] == given["Tags"]
    for member in ("Environment", "InputDataConfig", "RetryStrategy"):
        assert made[member] == more[member]
    for member in ("AlgorithmSpecification", "RoleArn", "OutputDataConfig", "StoppingCondition", "ResourceConfig"):
        assert made[member] == given["TrainingJobDefinition"][member]
    assert made["CheckpointConfig"]["S3Uri"] == "s3://bucket/checkpoints/hpo-001-0", "none goes on from another's"
    assert "DefinitionName" not in made
    assert "VpcConfig" not in made
