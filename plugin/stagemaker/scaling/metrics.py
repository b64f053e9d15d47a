"""Pure: the metric that a policy or an alarm looks at, and the alarms of a target tracking policy.

AWS source: "Target tracking scaling policies" and "Predefined metrics" in the guide of Application Auto Scaling, and
alarms of a live account (names, thresholds, periods).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError, hinted, validation_error
from stagemaker.scaling.alarm_rules import Alarm, Comparison, MissingData
from stagemaker.scaling.compression import Compression
from stagemaker.scaling.resources import OF_VARIANTS, PROVISIONED, ScalableResource, uuid_of
from stagemaker.scaling.tracking import HIGH_RESOLUTION_S, MINUTE_S, TargetTracking, high_alarm, low_alarm

STATISTICS = ("Average", "Sum", "Minimum", "Maximum", "SampleCount")  # those of LocalStack's CloudWatch
LONG_PERIOD_S = 3600
MAX_WINDOW_S, MAX_LONG_WINDOW_S = 86_400, 604_800  # AWS's: all periods of an alarm, and of one with a long period
CONFIG = "TargetTrackingScalingPolicyConfiguration"
_EITHER = "PredefinedMetricSpecification or CustomizedMetricSpecification"


@dataclass(frozen=True)
class Metric:
    """One time series of CloudWatch."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str
    unit: str | None = None

    def query(self, period_s: int) -> dict[str, Any]:
        """Of GetMetricData, with periods of so many seconds."""
        unit = {"Unit": self.unit} if self.unit else {}
        metric = {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": self.dimension_list}
        return {"Id": "m", "MetricStat": {"Metric": metric, "Period": period_s, "Stat": self.statistic, **unit}}

    @property
    def dimension_list(self) -> list[dict[str, str]]:
        """As CloudWatch's requests have it."""
        return [{"Name": name, "Value": value} for name, value in self.dimensions]


def target_tracking(resource: ScalableResource, config: Mapping[str, Any]) -> tuple[TargetTracking, Metric]:
    """Of a TargetTrackingScalingPolicyConfiguration. ValidationException for one that breaks a rule; 501 for what
    LocalStack's CloudWatch does not have."""
    predefined, customized = config.get("PredefinedMetricSpecification"), config.get("CustomizedMetricSpecification")
    if predefined is not None and customized is not None:
        raise validation_error(f"Only one of {_EITHER} can be set for target tracking scaling.")
    if predefined is None and customized is None:
        raise validation_error(f"{_EITHER} must be set for target tracking scaling.")
    metric = _predefined(resource, predefined) if predefined is not None else _customized(customized or {})
    if config["TargetValue"] <= 0:
        raise validation_error("TargetValue must be greater than 0.")
    cooldowns = [config.get(member, resource.kind.cooldown_s) for member in ("ScaleInCooldown", "ScaleOutCooldown")]
    if min(cooldowns) < 0:
        raise validation_error("Cooldown must not be negative.")
    high_resolution = predefined is not None and predefined["PredefinedMetricType"].endswith("HighResolution")
    tracking = TargetTracking(
        target_value=config["TargetValue"],
        scale_in_cooldown_s=cooldowns[0],
        scale_out_cooldown_s=cooldowns[1],
        disable_scale_in=config.get("DisableScaleIn", False),
        period_s=HIGH_RESOLUTION_S if high_resolution else MINUTE_S,
    )
    return tracking, metric


def tracking_alarms(policy_arn: str, record: Mapping[str, Any], compression: Compression) -> list[dict[str, Any]]:
    """The PutMetricAlarm requests of a target tracking policy: high, and low unless it never scales in."""
    resource = ScalableResource(record["ServiceNamespace"], record["ResourceId"], record["ScalableDimension"])
    tracking, metric = target_tracking(resource, record[CONFIG])
    alarms = [("AlarmHigh", high_alarm(tracking))]
    if not tracking.disable_scale_in:
        alarms.append(("AlarmLow", low_alarm(tracking)))
    description = f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy_arn}."
    if compression.sentence:
        description = hinted(description, compression.sentence)
    return [
        {
            "AlarmName": f"TargetTracking-{resource.id}-{kind}-{uuid_of(policy_arn, kind)}",
            "AlarmDescription": description,
            "ActionsEnabled": True,
            "AlarmActions": [policy_arn],
            **_alarm_members(metric, alarm),
        }
        for kind, alarm in alarms
    ]


def _alarm_members(metric: Metric, alarm: Alarm) -> dict[str, Any]:
    unit = {"Unit": metric.unit} if metric.unit else {}
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": metric.dimension_list,
        "Statistic": metric.statistic,
        **unit,
        "Period": alarm.period_s,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "ComparisonOperator": str(alarm.comparison),
        "Threshold": alarm.threshold,
    }


def rules_of_alarm(alarm: Mapping[str, Any]) -> tuple[Metric, Alarm] | None:
    """What an alarm of CloudWatch looks at, and when it alarms. None for one that is not evaluated here: expressions,
    percentiles, bands of anomalies, and more periods than AWS takes."""
    comparison, periods = alarm.get("ComparisonOperator"), alarm.get("EvaluationPeriods", 1)
    if alarm.get("Statistic") not in STATISTICS or "MetricName" not in alarm or comparison not in list(Comparison):
        return None
    if periods * alarm["Period"] > (MAX_WINDOW_S if alarm["Period"] < LONG_PERIOD_S else MAX_LONG_WINDOW_S):
        return None
    dimensions = tuple((each["Name"], each["Value"]) for each in alarm.get("Dimensions", []))
    metric = Metric(alarm["Namespace"], alarm["MetricName"], dimensions, alarm["Statistic"], alarm.get("Unit"))
    rules = Alarm(
        alarm["Threshold"],
        Comparison(comparison),
        alarm["Period"],
        periods,
        alarm.get("DatapointsToAlarm", periods),
        MissingData(alarm.get("TreatMissingData", MissingData.MISSING)),
    )
    return metric, rules


def _predefined(resource: ScalableResource, specification: Mapping[str, Any]) -> Metric:
    kind = specification["PredefinedMetricType"]
    if kind not in resource.kind.metrics:
        supported = ", ".join(resource.kind.metrics)
        sentence = f"Scalable dimension {resource.dimension} only supports the following predefined metric types"
        raise validation_error(f"{sentence}: {supported}")
    if "ResourceLabel" in specification:
        raise validation_error("A resource label is only taken with ALBRequestCountPerTarget.")
    first, second = resource.parts
    if resource.dimension not in OF_VARIANTS:
        dimensions = (("FunctionName", first), ("Resource", f"{first}:{second}"))
        return Metric("AWS/Lambda", "ProvisionedConcurrencyUtilization", dimensions, "Average")
    dimensions = (("EndpointName", first), ("VariantName", second))
    if resource.dimension == PROVISIONED:
        return Metric("AWS/SageMaker", "ServerlessProvisionedConcurrencyUtilization", dimensions, "Average")
    if kind == "SageMakerVariantInvocationsPerInstance":
        return Metric("AWS/SageMaker", "InvocationsPerInstance", dimensions, "Sum")
    return Metric("AWS/SageMaker", "ConcurrentRequestsPerModel", dimensions, "Average")


def _customized(specification: Mapping[str, Any]) -> Metric:
    queries = specification.get("Metrics")
    if queries is None:
        missing = [name for name in ("Namespace", "MetricName", "Statistic") if name not in specification]
        if missing:
            raise _invalid(f"It needs {', '.join(missing)}, or Metrics.")
        return _metric(specification, specification["Statistic"], specification.get("Unit"))
    if len(specification) > 1:
        raise _invalid("It has either Metrics or a metric of its own, not both.")
    if any("Expression" in query for query in queries):
        raise not_supported("metric math (Expression), which LocalStack's CloudWatch does not compute")
    if len(queries) != 1 or "MetricStat" not in queries[0] or not queries[0].get("ReturnData", True):
        raise _invalid("Metrics must return exactly one time series.")
    stat = queries[0]["MetricStat"]
    if stat["Stat"] not in STATISTICS:
        raise not_supported(f"the statistic {stat['Stat']}, which LocalStack's CloudWatch does not compute")
    return _metric(stat["Metric"], stat["Stat"], stat.get("Unit"))


def _metric(members: Mapping[str, Any], statistic: str, unit: str | None) -> Metric:
    missing = [name for name in ("Namespace", "MetricName") if name not in members]
    if missing:
        raise _invalid(f"It needs {', '.join(missing)}.")
    dimensions = tuple((each["Name"], each["Value"]) for each in members.get("Dimensions", []))
    return Metric(members["Namespace"], members["MetricName"], dimensions, statistic, unit)


def _invalid(reason: str) -> ApiError:
    """AWS's sentence, and what is wrong."""
    return validation_error(hinted("The customized metric specification is not valid.", reason))
