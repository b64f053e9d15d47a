"""The training jobs of a tuning job: their names and their requests. Pure."""

from collections.abc import Mapping
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.tuning.plan import Definition, TuningPlan
from stagemaker.tuning.refusals import OBJECTIVE_NAME

_MEMBERS = (
    "RoleArn", "InputDataConfig", "VpcConfig", "OutputDataConfig", "StoppingCondition", "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining", "RetryStrategy", "Environment",
)  # fmt: skip
_ALGORITHM = ("TrainingImage", "AlgorithmName", "TrainingInputMode", "MetricDefinitions")


def child_name(job: str, number: int, code: str) -> str:
    """`<job>-<NNN>-<code>`, as AWS names them; the first has the number 1."""
    return f"{job}-{number:03d}-{code}"


def child_request(
    plan: TuningPlan, definition: Definition, resources: Mapping[str, Any], name: str, tuned: Mapping[str, str]
) -> dict[str, Any]:
    """CreateTrainingJob's request, with what only a tuning job can say of a training job besides: TuningJobArn, which
    DescribeTrainingJob shows, and what we need to judge and to list the job.

    Each training job has checkpoints of its own, below the URI of the definition (ours): none goes on from another's.
    """
    given = definition.given
    checkpoints = given.get("CheckpointConfig")
    objective = definition.objective
    return {
        "TrainingJobName": name,
        "HyperParameters": {**definition.static, OBJECTIVE_NAME: objective.metric, **tuned},
        "AlgorithmSpecification": {
            key: value for key, value in given["AlgorithmSpecification"].items() if key in _ALGORITHM
        },
        **{member: given[member] for member in _MEMBERS if member in given},
        **(
            {"CheckpointConfig": {**checkpoints, "S3Uri": f"{checkpoints['S3Uri'].rstrip('/')}/{name}"}}
            if checkpoints
            else {}
        ),
        "ResourceConfig": dict(resources),
        "Tags": [dict(tag) for tag in plan.tags],
        "TuningJobArn": plan.ref.arn,
        OWN: {"Tuning": {"Definition": definition.name, "Metric": objective.metric, "Tuned": dict(tuned)}},
    }
