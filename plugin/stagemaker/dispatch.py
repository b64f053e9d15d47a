"""Which of our methods answers an operation, and which operations moto may answer in our place."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stagemaker.state import Scope

Operation = Callable[[Scope, dict[str, Any]], dict[str, Any]]

RECORD_KEEPERS = ("sagemaker",)  # the services of ours for which moto may answer at all
# Moto would report success for work that nobody did, or keep its own records of a kind that we own.
EXECUTES = re.compile(
    "TrainingJob|ProcessingJob|TransformJob|TuningJob|AutoML|CompilationJob|LabelingJob|RecommendationsJob|JobDefinition"
    "|MonitoringSchedule|Endpoint|InferenceComponent|NotebookInstance(s)?$|Cluster|PipelineExecution|FeatureGroup|Tags$"
    "|(Create|Describe|Delete)Model$|ListModels$|Search"
)


def find(services: Iterable[object], method: str) -> Operation | None:
    """The first service's public method of that name."""
    for service in services:
        own: Operation | None = getattr(service, method, None)
        if own is not None:
            return own
    return None


def is_record_keeping(service: str, operation: str) -> bool:
    """Whether moto's answer to `operation` is all there is to it: it stores and returns what it was given."""
    return service in RECORD_KEEPERS and EXECUTES.search(operation) is None


def payload(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its streamed members read."""
    return {name: value.read() if hasattr(value, "read") else value for name, value in request.items()}
