"""Training jobs as DescribeTrainingJob describes them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BEGAN = datetime(2026, 11, 27, 12, tzinfo=UTC)


def a_job(name: str, instance_type: str = "ml.m5.xlarge", instances: int = 1, seconds: float = 36) -> Mapping[str, Any]:
    """A completed job that ran for so long."""
    return {
        "TrainingJobName": name,
        "ResourceConfig": {"InstanceType": instance_type, "InstanceCount": instances, "VolumeSizeInGB": 30},
        "TrainingStartTime": BEGAN,
        "TrainingEndTime": BEGAN + timedelta(seconds=seconds),
        "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.91}],
    }
