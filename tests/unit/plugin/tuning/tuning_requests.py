"""CreateHyperParameterTuningJob requests for the tests, and changes to their parts."""

from typing import Any

from tests.unit.plugin.fakes import ROLE

LOSS = {"Name": "loss", "Regex": "loss=([-0-9.e]+)"}
NUMBERS = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0", "MaxValue": "1", "ScalingType": "Linear"}]}
COLOURS = {"CategoricalParameterRanges": [{"Name": "colour", "Values": ["red", "blue", "green"]}]}


def integer(name: str, low: str, high: str, **more: str) -> dict[str, Any]:
    return {"IntegerParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **more}]}


def continuous(name: str, low: str, high: str, **more: str) -> dict[str, Any]:
    return {"ContinuousParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high, **more}]}


def definition(**changes: Any) -> dict[str, Any]:
    given = {
        "StaticHyperParameters": {"epochs": "4"},
        "AlgorithmSpecification": {
            "TrainingImage": "stagemaker/trainer:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [LOSS],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **changes,
    }
    return {key: value for key, value in given.items() if value is not None}


def request(
    name: str = "hpo",
    *,
    strategy: str = "Random",
    ranges: dict[str, Any] | None = NUMBERS,
    jobs: int | None = 4,
    parallel: int = 1,
    limits: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
    static: dict[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """None for a part leaves it out."""
    found_limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel, **(limits or {})}
    found_config = {
        "Strategy": strategy,
        "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
        "ResourceLimits": {key: value for key, value in found_limits.items() if value is not None},
        "ParameterRanges": ranges,
        **(config or {}),
    }
    found = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {key: value for key, value in found_config.items() if value is not None},
        "TrainingJobDefinition": definition(**({"StaticHyperParameters": static} if static is not None else {})),
        **changes,
    }
    return {key: value for key, value in found.items() if value is not None}
