"""Scaling policies and the alarms that belong to them."""

from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.scaling.metrics import target_tracking
from stagemaker.scaling.policies import MAX_POLICIES
from stagemaker.scaling.resources import FUNCTION, PROVISIONED, resource_of
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.scaling.scaling_environment import (
    ONE_MORE,
    PREDEFINED,
    RESOURCE,
    ScalingEnvironment,
    refusal,
)

SERVERLESS = {**RESOURCE, "ScalableDimension": PROVISIONED}
LIVE = {"ServiceNamespace": "lambda", "ResourceId": "function:f:live", "ScalableDimension": FUNCTION}
CUSTOM = {"Namespace": "Mine", "MetricName": "Backlog", "Statistic": "Average"}
QUERY = {"Id": "m1", "MetricStat": {"Metric": {"Namespace": "Mine", "MetricName": "Backlog"}, "Stat": "Sum"}}


@pytest.fixture
def scaling() -> ScalingEnvironment:
    made = ScalingEnvironment()
    made.register()
    return made


def described(scaling: ScalingEnvironment, **members: Any) -> list[dict[str, Any]]:
    request = {"ServiceNamespace": "sagemaker", **members}
    found: list[dict[str, Any]] = scaling.policies.describe_scaling_policies(SCOPE, request)["ScalingPolicies"]
    return found


def put(scaling: ScalingEnvironment, **members: Any) -> dict[str, Any]:
    return scaling.policies.put_scaling_policy(SCOPE, {**RESOURCE, "PolicyName": "one", **members})


def test_target_tracking_makes_the_two_alarms_seen_on_aws(scaling: ScalingEnvironment) -> None:
    answer = scaling.track(1500.0)
    arn = answer["PolicyARN"]
    assert arn.startswith("arn:aws:autoscaling:eu-west-1:123456789012:scalingPolicy:")
    assert arn.endswith(":resource/sagemaker/endpoint/end/variant/all:policyName/track")
    high, low = scaling.cloudwatch.alarms.values()
    prefix = "TargetTracking-endpoint/end/variant/all-"
    assert high["AlarmName"].startswith(f"{prefix}AlarmHigh-")
    assert low["AlarmName"].startswith(f"{prefix}AlarmLow-")
    kept = ("ComparisonOperator", "Threshold", "Period", "EvaluationPeriods", "DatapointsToAlarm", "Statistic")
    assert [high[name] for name in kept] == ["GreaterThanThreshold", 1500.0, 60, 3, 3, "Sum"]
    assert [low[name] for name in kept] == ["LessThanThreshold", 1350.0, 60, 15, 15, "Sum"]
    assert (high["Namespace"], high["MetricName"]) == ("AWS/SageMaker", "InvocationsPerInstance")
    assert high["Dimensions"] == [{"Name": "EndpointName", "Value": "end"}, {"Name": "VariantName", "Value": "all"}]
    assert high["AlarmActions"] == low["AlarmActions"] == [arn]
    assert high["AlarmDescription"] == f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {arn}."
    assert answer["Alarms"] == [
        {"AlarmName": alarm["AlarmName"], "AlarmARN": alarm["AlarmArn"]} for alarm in (high, low)
    ]
    [policy] = described(scaling)
    assert policy == {
        **RESOURCE,
        "PolicyARN": arn,
        "PolicyName": "track",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1500.0, **PREDEFINED},
        "Alarms": answer["Alarms"],
        "CreationTime": scaling.clock.now,
    }


def test_a_metric_of_high_resolution_has_periods_of_ten_seconds(scaling: ScalingEnvironment) -> None:
    name = "SageMakerVariantConcurrentRequestsPerModelHighResolution"
    scaling.track(5.0, PredefinedMetricSpecification={"PredefinedMetricType": name})
    high, low = scaling.cloudwatch.alarms.values()
    assert (high["MetricName"], high["Period"], high["EvaluationPeriods"]) == ("ConcurrentRequestsPerModel", 10, 3)
    assert (low["Period"], low["EvaluationPeriods"]) == (10, 90)


@pytest.mark.parametrize("specification", [{**CUSTOM, "Unit": "Count"}, {"Metrics": [QUERY]}])
def test_a_metric_of_the_caller_is_tracked(scaling: ScalingEnvironment, specification: dict[str, Any]) -> None:
    scaling.track(5.0, CustomizedMetricSpecification=specification)
    high = next(iter(scaling.cloudwatch.alarms.values()))
    assert (high["Namespace"], high["MetricName"], high["Dimensions"]) == ("Mine", "Backlog", [])


def test_disabled_scale_in_needs_no_low_alarm_and_an_update_removes_it(scaling: ScalingEnvironment) -> None:
    scaling.track(100.0)
    [first] = described(scaling)
    scaling.clock.now += 5
    scaling.track(100.0, DisableScaleIn=True, **PREDEFINED)
    [policy] = described(scaling)
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == list(scaling.cloudwatch.alarms)
    assert policy["Alarms"] == first["Alarms"][:1]
    assert (policy["PolicyARN"], policy["CreationTime"]) == (first["PolicyARN"], first["CreationTime"])


def test_a_step_policy_shows_the_alarms_that_have_it_as_an_action(scaling: ScalingEnvironment) -> None:
    arn = scaling.step()
    assert described(scaling)[0]["Alarms"] == []
    scaling.cloudwatch.put(SCOPE, {"AlarmName": "mine", "AlarmActions": [arn]})
    [policy] = described(scaling)
    alarm_arn = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:mine"
    assert policy["Alarms"] == [{"AlarmName": "mine", "AlarmARN": alarm_arn}]
    scaling.policies.delete_scaling_policy(SCOPE, {**RESOURCE, "PolicyName": "step"})
    assert list(scaling.cloudwatch.alarms) == ["mine"]


def tracking(**config: Any) -> dict[str, Any]:
    return {
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 5.0, **config},
    }


def stepping(**config: Any) -> dict[str, Any]:
    configuration = {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": [ONE_MORE], **config}
    return {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": configuration}


def custom(**members: Any) -> dict[str, Any]:
    return tracking(CustomizedMetricSpecification=members)


EITHER = "PredefinedMetricSpecification or CustomizedMetricSpecification"
INVALID = "The customized metric specification is not valid."
ONLY = (
    "Scalable dimension sagemaker:variant:DesiredInstanceCount only supports the following predefined metric types: "
    "SageMakerVariantInvocationsPerInstance, SageMakerVariantConcurrentRequestsPerModelHighResolution"
)
DYNAMO = {"PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"}}
LABELLED = {"PredefinedMetricSpecification": {**PREDEFINED["PredefinedMetricSpecification"], "ResourceLabel": "x"}}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({}, "PolicyType is required for a new scaling policy."),
        ({"PolicyType": "StepScaling"}, "StepScaling policy configuration must be specified"),
        ({"PolicyType": "TargetTrackingScaling"}, "TargetTrackingScaling policy configuration must be specified"),
        ({**tracking(**PREDEFINED), **stepping(), "PolicyType": "StepScaling"}, "cannot be specified for a policy of"),
        (tracking(), f"{EITHER} must be set for target tracking scaling."),
        (tracking(**PREDEFINED, CustomizedMetricSpecification=CUSTOM), f"Only one of {EITHER} can be set for target"),
        (tracking(**{**PREDEFINED, "TargetValue": 0.0}), "TargetValue must be greater than 0."),
        (tracking(**PREDEFINED, ScaleInCooldown=-1), "Cooldown must not be negative."),
        (tracking(**DYNAMO), ONLY),
        (tracking(**LABELLED), "A resource label is only taken with ALBRequestCountPerTarget."),
        (custom(Namespace="Mine"), f"{INVALID} Stagemaker: It needs MetricName, Statistic, or Metrics."),
        (custom(**CUSTOM, Metrics=[QUERY]), INVALID),
        (custom(Metrics=[QUERY, QUERY]), INVALID),
        (custom(Metrics=[]), INVALID),
        (stepping(Cooldown=-1), "Cooldown and MinAdjustmentMagnitude must not be negative."),
        (stepping(StepAdjustments=[]), "There must be at least one step adjustment"),
        (custom(**CUSTOM, Dimensions=[{"Name": "n" * 60_000, "Value": ""}]), "must not be longer than 51200 bytes"),
    ],
)
def test_a_wrong_policy_is_refused(scaling: ScalingEnvironment, members: dict[str, Any], sentence: str) -> None:
    code, message = refusal(lambda: put(scaling, **members))
    assert code == "ValidationException"
    assert sentence in message
    assert (described(scaling), scaling.cloudwatch.alarms) == ([], {})


@pytest.mark.parametrize(
    ("resource", "given", "expected"),
    [
        (RESOURCE, {}, (300, 300)),
        (SERVERLESS, {}, (300, 300)),
        (LIVE, {}, (0, 0)),
        (LIVE, {"ScaleInCooldown": 7}, (7, 0)),
    ],
)
def test_the_cooldown_of_target_tracking_depends_on_the_dimension(
    resource: dict[str, str], given: dict[str, int], expected: tuple[int, int]
) -> None:
    config = {"TargetValue": 0.7, "CustomizedMetricSpecification": CUSTOM, **given}
    found, _ = target_tracking(resource_of(resource), config)
    assert (found.scale_in_cooldown_s, found.scale_out_cooldown_s) == expected


def test_a_serverless_variant_is_tracked_by_the_use_of_its_provisioned_concurrency() -> None:
    predefined = {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"}
    config = {"TargetValue": 0.5, "PredefinedMetricSpecification": predefined}
    tracking, metric = target_tracking(resource_of(SERVERLESS), config)
    assert (tracking.target_value, tracking.period_s) == (0.5, 60)
    assert (metric.namespace, metric.name) == ("AWS/SageMaker", "ServerlessProvisionedConcurrencyUtilization")
    assert metric.dimensions == (("EndpointName", "end"), ("VariantName", "all"))
    for resource, specification in ((RESOURCE, predefined), (SERVERLESS, PREDEFINED["PredefinedMetricSpecification"])):
        with pytest.raises(ApiError, match="only supports the following predefined metric types"):
            target_tracking(resource_of(resource), {**config, "PredefinedMetricSpecification": specification})


def test_provisioned_concurrency_takes_no_step_scaling(scaling: ScalingEnvironment) -> None:
    scaling.targets.register_scalable_target(SCOPE, {**LIVE, "MinCapacity": 1, "MaxCapacity": 2})
    assert refusal(lambda: put(scaling, **LIVE, **stepping())) == (
        "ValidationException",
        "StepScaling is not supported for the scalable dimension lambda:function:ProvisionedConcurrency.",
    )


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"PolicyType": "PredictiveScaling"}, "policies of the type PredictiveScaling"),
        (custom(Metrics=[{"Id": "e1", "Expression": "m1 / 2"}]), "metric math (Expression)"),
        (custom(Metrics=[{"Id": "m1", "MetricStat": {**QUERY["MetricStat"], "Stat": "p90"}}]), "the statistic p90"),  # type: ignore[dict-item]
    ],
)
def test_what_is_missing_is_refused_by_name(scaling: ScalingEnvironment, members: dict[str, Any], named: str) -> None:
    code, message = refusal(lambda: put(scaling, **members))
    assert code == "NotImplementedException"
    assert named in message


def test_a_policy_needs_a_target(scaling: ScalingEnvironment) -> None:
    scaling.targets.deregister_scalable_target(SCOPE, RESOURCE)
    assert refusal(lambda: scaling.track(5.0))[0] == "ObjectNotFoundException"


def test_a_target_that_goes_meanwhile_leaves_no_alarm(scaling: ScalingEnvironment) -> None:
    original = scaling.cloudwatch.put

    def deregisters(*arguments: Any) -> str:
        arn = original(*arguments)
        scaling.targets.forget(SCOPE, resource_of(RESOURCE))
        return arn

    scaling.cloudwatch.put = deregisters  # type: ignore[method-assign, assignment]
    assert refusal(lambda: scaling.track(5.0))[0] == "ConcurrentUpdateException"
    assert (scaling.cloudwatch.alarms, described(scaling)) == ({}, [])


def test_two_policies_do_not_track_one_metric(scaling: ScalingEnvironment) -> None:
    scaling.track(5.0)
    assert refusal(lambda: scaling.track(6.0, name="other")) == (
        "ValidationException",
        "Only one TargetTrackingScaling policy for a given metric specification is allowed.",
    )
    scaling.track(6.0)
    scaling.track(6.0, name="other", CustomizedMetricSpecification=CUSTOM)
    assert len(described(scaling)) == 2


def test_the_quotas_of_policies_and_steps(scaling: ScalingEnvironment) -> None:
    for number in range(MAX_POLICIES):
        scaling.step(name=f"step{number}")
    assert refusal(lambda: scaling.step(name="more"))[0] == "LimitExceededException"
    scaling.step(name="step1", Cooldown=10)
    bounds = [{"MetricIntervalLowerBound": float(n), "MetricIntervalUpperBound": n + 1.0} for n in range(21)]
    many = [{**bound, "ScalingAdjustment": 1} for bound in bounds]
    assert refusal(lambda: put(scaling, **stepping(StepAdjustments=many)))[0] == "LimitExceededException"


def test_a_cloudwatch_that_is_away_is_told_and_nothing_is_kept(scaling: ScalingEnvironment) -> None:
    scaling.cloudwatch.is_down = True
    assert refusal(lambda: scaling.track(5.0))[0] == "FailedResourceAccessException"
    scaling.cloudwatch.is_down = False
    assert described(scaling) == []


def test_policies_are_found_by_name_and_deleted_with_their_alarms(scaling: ScalingEnvironment) -> None:
    scaling.track(5.0)
    scaling.step()
    assert [policy["PolicyName"] for policy in described(scaling, PolicyNames=["step"])] == ["step"]
    delete = {**RESOURCE, "PolicyName": "track"}
    scaling.policies.delete_scaling_policy(SCOPE, delete)
    assert scaling.cloudwatch.alarms == {}
    code, message = refusal(lambda: scaling.policies.delete_scaling_policy(SCOPE, delete))
    assert code == "ObjectNotFoundException"
    assert message.startswith("No scaling policy found for service namespace: sagemaker")
