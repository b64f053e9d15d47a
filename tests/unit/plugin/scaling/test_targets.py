"""Scalable targets and their tags."""

from typing import Any

import pytest

from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.refs import Ref
from stagemaker.scaling.resources import FUNCTION, PROVISIONED, VARIANT, is_registered
from stagemaker.scaling.targets import MAX_TARGETS
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.scaling.scaling_environment import RESOURCE, ScalingEnvironment, refusal

LATEST = {"ServiceNamespace": "lambda", "ResourceId": "function:f:$LATEST", "ScalableDimension": FUNCTION}
ARN = "arn:aws:application-autoscaling:eu-west-1:123456789012:scalable-target/"


@pytest.fixture
def scaling() -> ScalingEnvironment:
    return ScalingEnvironment()


def described(scaling: ScalingEnvironment, **members: Any) -> list[dict[str, Any]]:
    request = {"ServiceNamespace": "sagemaker", **members}
    found: list[dict[str, Any]] = scaling.targets.describe_scalable_targets(SCOPE, request)["ScalableTargets"]
    return found


def register(scaling: ScalingEnvironment, **members: Any) -> None:
    scaling.targets.register_scalable_target(SCOPE, {**RESOURCE, **members})


def test_a_new_target_is_described_as_aws_has_it(scaling: ScalingEnvironment) -> None:
    arn = scaling.register(0, 4, RoleARN="arn:aws:iam::123456789012:role/mine", Tags={"team": "dogs"})
    assert arn.startswith(ARN)
    role = "aws-service-role/sagemaker.application-autoscaling.amazonaws.com/" + (
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    assert described(scaling) == [
        {
            **RESOURCE,
            "MinCapacity": 0,
            "MaxCapacity": 4,
            "RoleARN": f"arn:aws:iam::123456789012:role/{role}",
            "CreationTime": scaling.clock.now,
            "SuspendedState": {
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
            "ScalableTargetARN": arn,
        }
    ]


def test_a_change_keeps_what_it_does_not_name(scaling: ScalingEnvironment) -> None:
    arn = scaling.register(1, 4, SuspendedState={"ScheduledScalingSuspended": True})
    register(scaling, MaxCapacity=8, SuspendedState={"DynamicScalingInSuspended": True})
    [target] = described(scaling)
    assert (target["MinCapacity"], target["MaxCapacity"], target["ScalableTargetARN"]) == (1, 8, arn)
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": True,
    }


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"MinCapacity": 1}, "MinCapacity and MaxCapacity are required for a new scalable target."),
        ({"MinCapacity": 3, "MaxCapacity": 2}, "Maximum capacity cannot be less than minimum capacity"),
        ({"MinCapacity": -1, "MaxCapacity": 2}, "Minimum and maximum capacity cannot be less than 0."),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ResourceId": "endpoint/end"},
            "Unsupported service namespace, resource type or scalable dimension",
        ),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, **LATEST},
            "$LATEST is not a supported qualifier for Auto Scaling",
        ),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "ServiceNamespace": "lambda"},
            "Unsupported service namespace, resource type or scalable dimension",
        ),
        (
            {"MinCapacity": 1, "MaxCapacity": 2, "Tags": {"aws:x": "1"}},
            "aws: prefixed tag key names are not allowed for external use.",
        ),
    ],
)
def test_a_wrong_registration_is_refused(scaling: ScalingEnvironment, members: dict[str, Any], sentence: str) -> None:
    assert refusal(lambda: register(scaling, **members)) == ("ValidationException", sentence)
    assert described(scaling) == []


def test_a_resource_that_is_not_there_is_refused(scaling: ScalingEnvironment) -> None:
    scaling.scalable.now = None
    code, message = refusal(lambda: scaling.register())
    assert code == "ValidationException"
    assert "service namespace: sagemaker, resource ID: endpoint/end/variant/all" in message


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}, "the service namespace ecs"),
        (
            {"ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"},
            "sagemaker:inference-component:DesiredCopyCount",
        ),
    ],
)
def test_what_is_not_scaled_here_is_refused_by_name(
    scaling: ScalingEnvironment, members: dict[str, Any], named: str
) -> None:
    code, message = refusal(lambda: register(scaling, MinCapacity=1, MaxCapacity=2, **members))
    assert code == "NotImplementedException"
    assert named in message


def test_five_hundred_targets_are_the_limit(scaling: ScalingEnvironment) -> None:
    for number in range(MAX_TARGETS):
        register(scaling, ResourceId=f"endpoint/e{number}/variant/all", MinCapacity=1, MaxCapacity=2)
    assert refusal(lambda: scaling.register())[0] == "LimitExceededException"
    scaling.targets.deregister_scalable_target(SCOPE, {**RESOURCE, "ResourceId": "endpoint/e1/variant/all"})
    scaling.register()


def test_targets_are_found_by_resource_and_dimension_and_come_in_pages(scaling: ScalingEnvironment) -> None:
    ids = [f"endpoint/e{number}/variant/all" for number in range(3)]
    for name in ids:
        register(scaling, ResourceId=name, MinCapacity=1, MaxCapacity=2)
        scaling.clock.now += 1
    assert [target["ResourceId"] for target in described(scaling, ResourceIds=[ids[1]])] == [ids[1]]
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        request = {"ServiceNamespace": "sagemaker", "MaxResults": 2, **token}
        answer = scaling.targets.describe_scalable_targets(SCOPE, request)
        seen += [target["ResourceId"] for target in answer["ScalableTargets"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert seen == ids
    assert refusal(lambda: described(scaling, NextToken="bm8="))[0] == "InvalidNextTokenException"
    assert refusal(lambda: described(scaling, MaxResults=51))[0] == "ValidationException"
    assert refusal(lambda: described(scaling, ScalableDimension=RESOURCE["ScalableDimension"])) == (
        "ValidationException",
        "A scalable dimension is only taken together with a resource ID.",
    )


def test_a_target_that_is_deregistered_takes_all_that_is_its_own_along(scaling: ScalingEnvironment) -> None:
    scaling.register()
    scaling.track(100.0)
    scaling.step()
    action = {**RESOURCE, "ScheduledActionName": "once", "Schedule": "rate(1 day)"}
    scaling.actions.put_scheduled_action(SCOPE, {**action, "ScalableTargetAction": {"MinCapacity": 2}})
    scaling.targets.deregister_scalable_target(SCOPE, RESOURCE)
    scaling.look()
    namespace = {"ServiceNamespace": "sagemaker"}
    assert scaling.policies.describe_scaling_policies(SCOPE, namespace)["ScalingPolicies"] == []
    assert scaling.actions.describe_scheduled_actions(SCOPE, namespace)["ScheduledActions"] == []
    assert scaling.cloudwatch.alarms == {}
    assert refusal(lambda: scaling.targets.deregister_scalable_target(SCOPE, RESOURCE)) == (
        "ObjectNotFoundException",
        "No scalable target registered for service namespace: sagemaker, resource ID: endpoint/end/variant/all, "
        "scalable dimension: sagemaker:variant:DesiredInstanceCount",
    )


@pytest.mark.parametrize("last", ["Deleting", None])
@pytest.mark.parametrize(
    ("dimension", "metric"),
    [
        (VARIANT, "SageMakerVariantInvocationsPerInstance"),
        (PROVISIONED, "SageMakerVariantProvisionedConcurrencyUtilization"),
    ],
)
def test_an_endpoint_that_is_deleted_takes_its_targets_along(
    scaling: ScalingEnvironment, dimension: str, metric: str, last: str | None
) -> None:
    end = Ref(SCOPE, ENDPOINT, "end")
    scaling.store.put(end, {"EndpointStatus": "InService"})
    register(scaling, ScalableDimension=dimension, MinCapacity=1, MaxCapacity=2)
    tracking = {"TargetValue": 0.5, "PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
    policy = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": tracking}
    request = {**RESOURCE, "ScalableDimension": dimension, "PolicyName": "track", **policy}
    scaling.policies.put_scaling_policy(SCOPE, request)
    scaling.store.put(Ref(SCOPE, ENDPOINT, "other"), {"EndpointStatus": "Deleting"})
    assert is_registered(scaling.store, end, "all")
    assert not is_registered(scaling.store, end, "another")
    if last:
        scaling.store.update(end, EndpointStatus=last)
    else:
        scaling.store.delete(end)
    assert not is_registered(scaling.store, end, "all")
    scaling.look()
    assert scaling.cloudwatch.alarms == {}


def test_tags_are_set_listed_and_removed(scaling: ScalingEnvironment) -> None:
    arn = scaling.register(Tags={"team": "dogs"})
    scaling.targets.tag_resource(SCOPE, {"ResourceARN": arn, "Tags": {"team": "cats", "more": "1"}})
    scaling.targets.untag_resource(SCOPE, {"ResourceARN": arn, "TagKeys": ["more", "none"]})
    assert scaling.targets.list_tags_for_resource(SCOPE, {"ResourceARN": arn}) == {"Tags": {"team": "cats"}}
    many = {f"key{number}": "" for number in range(50)}
    tag = {"ResourceARN": arn, "Tags": many}
    assert refusal(lambda: scaling.targets.tag_resource(SCOPE, tag))[0] == "TooManyTagsException"
    missing = {"ResourceARN": f"{ARN}none"}
    assert refusal(lambda: scaling.targets.list_tags_for_resource(SCOPE, missing))[0] == "ResourceNotFoundException"
