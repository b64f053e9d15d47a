"""CreateHyperParameterTuningJob requests for the trainer of the gateway, and waiting for their ends."""

from typing import Any

from tests.contract.gateway import training_request, until

ENDED = ("Completed", "Failed", "Stopped")
OBJECTIVE = {"Type": "Maximize", "MetricName": "accuracy"}
RATES = {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Auto"}]}


def training_definition(role: str, **changes: Any) -> dict[str, Any]:
    """As the request of a training job, but for what a definition does not have."""
    given = training_request("unused", role)
    del given["TrainingJobName"]
    return {**given, "StaticHyperParameters": {}, **changes}


def tuning_request(name: str, role: str, *, jobs: int = 4, parallel: int = 2, **changes: Any) -> dict[str, Any]:
    """A small tuning job. `config` and `definition` are changes of these parts."""
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": OBJECTIVE,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": RATES,
            **changes.pop("config", {}),
        },
        "TrainingJobDefinition": training_definition(role, **changes.pop("definition", {})),
        **changes,
    }


def describe(sagemaker: Any, name: str) -> Any:
    """The description of the tuning job as it is now."""
    return sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def children(sagemaker: Any, name: str, **members: Any) -> Any:
    """The summaries of its training jobs, by name."""
    answer = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **members)
    return answer["TrainingJobSummaries"]


def tuned(sagemaker: Any, name: str) -> Any:
    """The description of the tuning job after its end."""
    return until(
        lambda: describe(sagemaker, name),
        lambda job: job["HyperParameterTuningJobStatus"] in ENDED,
    )
