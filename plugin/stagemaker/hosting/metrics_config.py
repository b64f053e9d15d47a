"""What an endpoint configuration says about metrics (MetricsConfig). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagemaker.core.errors import validation_error

# AWS's: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch-enhanced-metrics.html
EVERY_S = (10, 30, 60, 120, 180, 240, 300)
DEFAULT_EVERY_S = 60


@dataclass(frozen=True)
class MetricsConfig:
    """How often CloudWatch is told what instances use, and whether metrics are told for each instance too. `members`
    are as CreateEndpointConfig got them."""

    enhanced: bool = False
    every_s: int = DEFAULT_EVERY_S
    members: Mapping[str, Any] = field(default_factory=dict, compare=False)


def metrics_config(config: Mapping[str, Any]) -> MetricsConfig:
    """Of an endpoint configuration. ValidationException for a frequency that AWS does not take."""
    given = config.get("MetricsConfig", {})
    every_s = given.get("MetricPublishFrequencyInSeconds", DEFAULT_EVERY_S)
    if every_s not in EVERY_S:
        choices = ", ".join(map(str, EVERY_S))
        raise validation_error(f"MetricPublishFrequencyInSeconds must be one of {choices}, not {every_s}.")
    return MetricsConfig(given.get("EnableEnhancedMetrics", False), every_s, given)
