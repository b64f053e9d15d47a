"""Pure: the events that SageMaker sends to EventBridge when a record changes.

AWS source: "Events that Amazon SageMaker AI sends to Amazon EventBridge" in the developer guide. Its examples write
times in three ways; each kind has its own here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.api.operation import OWN
from stagemaker.core.kinds import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    PROCESSING_JOB,
    TRAINING_JOB,
    TRANSFORM_JOB,
    TUNING_JOB,
)
from stagemaker.core.refs import Kind, Scope
from stagemaker.core.store import Change, Record

SOURCE = "aws.sagemaker"
_STATUSES = (
    "TrainingJobStatus",
    "SecondaryStatus",
    "HyperParameterTuningJobStatus",
    "ProcessingJobStatus",
    "TransformJobStatus",
    "EndpointStatus",
)  # a kind without one has no state but to exist


@dataclass(frozen=True)
class Event:
    """One entry of PutEvents, but for the bus: the default one of the scope."""

    scope: Scope
    detail_type: str
    resource: str
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class _Form:
    """What the events of a kind look like. `time` writes a moment in epoch seconds."""

    detail_type: str
    members: tuple[str, ...]
    time: Callable[[float], Any]


def _milliseconds(time_s: float) -> int:
    return round(time_s * 1000)


_FORMS: Mapping[Kind, _Form] = {
    TRAINING_JOB: _Form(
        "SageMaker Training Job State Change",
        (
            "TrainingJobName", "TrainingJobArn", "TrainingJobStatus", "SecondaryStatus", "FailureReason",
            "HyperParameters", "AlgorithmSpecification", "RoleArn", "InputDataConfig", "OutputDataConfig",
            "ResourceConfig", "VpcConfig", "StoppingCondition", "CreationTime", "TrainingStartTime", "TrainingEndTime",
            "LastModifiedTime", "SecondaryStatusTransitions", "ModelArtifacts", "Environment", "CheckpointConfig",
        ),
        lambda time_s: str(_milliseconds(time_s)),
    ),
    TUNING_JOB: _Form(
        "SageMaker HyperParameter Tuning Job State Change",
        (
            "HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobConfig",
            "TrainingJobDefinition", "TrainingJobDefinitions", "HyperParameterTuningJobStatus", "CreationTime",
            "LastModifiedTime", "TrainingJobStatusCounters", "ObjectiveStatusCounters",
        ),
        lambda time_s: str(_milliseconds(time_s)),
    ),
    PROCESSING_JOB: _Form(
        "SageMaker Processing Job State Change",
        (
            "ProcessingInputs", "ProcessingOutputConfig", "ProcessingJobName", "ProcessingResources",
            "StoppingCondition", "AppSpecification", "Environment", "NetworkConfig", "RoleArn", "ProcessingJobArn",
            "ProcessingJobStatus", "ExitMessage", "FailureReason", "ProcessingStartTime", "ProcessingEndTime",
            "LastModifiedTime", "CreationTime",
        ),
        _milliseconds,
    ),
    TRANSFORM_JOB: _Form(
        "SageMaker Transform Job State Change",
        (
            "TransformJobName", "TransformJobArn", "TransformJobStatus", "FailureReason", "ModelName",
            "MaxConcurrentTransforms", "MaxPayloadInMB", "BatchStrategy", "Environment", "TransformInput",
            "TransformOutput", "TransformResources", "CreationTime", "TransformStartTime", "TransformEndTime",
            "DataProcessing",
        ),
        _milliseconds,
    ),
    ENDPOINT: _Form(
        "SageMaker Endpoint State Change",
        (
            "EndpointName", "EndpointArn", "EndpointConfigName", "EndpointStatus", "FailureReason", "CreationTime",
            "LastModifiedTime",
        ),
        _milliseconds,
    ),
    ENDPOINT_CONFIG: _Form(
        "SageMaker Endpoint Config State Change",
        ("EndpointConfigName", "EndpointConfigArn", "ProductionVariants", "CreationTime"),
        _milliseconds,
    ),
    MODEL: _Form(
        "SageMaker Model State Change",
        (
            "ModelName", "ModelArn", "PrimaryContainer", "Containers", "ExecutionRoleArn", "VpcConfig",
            "EnableNetworkIsolation", "CreationTime",
        ),
        _milliseconds,
    ),
}  # fmt: skip
KINDS: tuple[Kind, ...] = tuple(_FORMS)


def event_of(change: Change) -> Event | None:
    """The event of a change, or None for one that is no change of state: a new metric, other tags.

    A model and a configuration have a state by being there: AWS sends an event when one is made or deleted. The end of
    an endpoint has no event of its own: DELETING was its last."""
    form = _FORMS.get(change.ref.kind)
    record = change.after if change.after is not None else change.before
    if form is None or record is None:
        return None
    states = [_state(change.before), _state(change.after)]
    if states[0] == states[1] or (change.after is None and states[0]):
        return None
    return Event(change.ref.scope, form.detail_type, change.ref.arn, _detail(form, record))


def _state(record: Record | None) -> tuple[Any, ...] | None:
    """None for a record that is not there; nothing in it for a kind without a status."""
    return None if record is None else tuple(record[status] for status in _STATUSES if status in record)


def _detail(form: _Form, record: Record) -> dict[str, Any]:
    detail = {member: _timed(member, record[member], form) for member in form.members if member in record}
    if "EndpointStatus" in record:
        detail["EndpointStatus"] = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["EndpointStatus"]).upper()
        detail["ProductionVariants"] = [
            {
                "VariantName": name,
                "DesiredWeight": target["Weight"],
                "DesiredInstanceCount": target["Count"],
            }
            for name, target in record[OWN]["Targets"].items()
        ]
    return {**detail, "Tags": {tag["Key"]: tag["Value"] for tag in record.get("Tags", [])}}


def _timed(member: str, value: Any, form: _Form) -> Any:
    """The value with its moments as the event has them: those members whose name ends in Time."""
    if isinstance(value, Mapping):
        return {key: _timed(key, item, form) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_timed(member, item, form) for item in value]
    if member.endswith("Time") and isinstance(value, int | float):
        return form.time(value)
    return value
