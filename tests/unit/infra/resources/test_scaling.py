from typing import Any

from infra import engine
from infra.blueprint import POLICY
from infra.resources.scaling import EndpointScaling
from infra.settings import ScalingSettings
from tests.unit.infra.fakes import FakeClient

SETTINGS = ScalingSettings(1, 4, 25, 30, 5)
TARGET = {"MinCapacity": 1, "MaxCapacity": 4}
CONFIGURATION = {
    "TargetValue": 25,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    "ScaleInCooldown": 30,
    "ScaleOutCooldown": 5,
}


def scaling(
    target: dict[str, Any] | None, configuration: dict[str, Any] | None, settings: ScalingSettings | None = SETTINGS
) -> tuple[FakeClient, EndpointScaling]:
    """Where AWS has this target, and this policy."""
    policies = [{"TargetTrackingScalingPolicyConfiguration": configuration}] if configuration else []
    answers = {
        "describe_scalable_targets": {"ScalableTargets": [target] if target else []},
        "describe_scaling_policies": {"ScalingPolicies": policies},
    }
    client = FakeClient(answers)
    return client, EndpointScaling(client, "dogs", settings)


def calls(client: FakeClient) -> list[str]:
    """The operations that change something."""
    return [name for name in client.names() if not name.startswith("describe")]


def test_one_that_is_not_there_is_registered_with_its_policy() -> None:
    client, one = scaling(None, None)
    assert engine.apply_one(one) == ("create", "1 to 4 instances")
    assert calls(client) == ["register_scalable_target", "put_scaling_policy"]
    policy = client.calls[-1][1]
    assert policy["ResourceId"] == "endpoint/dogs/variant/AllTraffic"
    assert (policy["PolicyName"], policy["TargetTrackingScalingPolicyConfiguration"]) == (POLICY, CONFIGURATION)


def test_one_that_is_as_wanted_stays() -> None:
    client, one = scaling(TARGET, CONFIGURATION)
    assert engine.apply_one(one) == ("unchanged", "1 to 4 instances")
    assert calls(client) == []


def test_what_differs_is_said_and_changed() -> None:
    client, one = scaling({**TARGET, "MaxCapacity": 2}, {**CONFIGURATION, "TargetValue": 50, "DisableScaleIn": False})
    state = one.read()
    assert state is not None
    assert [str(change) for change in one.diff(state)] == ["MaxCapacity: 2 -> 4", "TargetValue: 50 -> 25"]
    assert engine.apply_one(one)[0] == "update"
    assert calls(client) == ["register_scalable_target", "put_scaling_policy"]


def test_a_target_that_lost_its_policy_gets_it_again() -> None:
    client, one = scaling(TARGET, None)
    assert engine.apply_one(one)[0] == "update"
    assert "put_scaling_policy" in calls(client)


def test_one_that_is_not_wanted_any_more_is_deleted() -> None:
    client, one = scaling(TARGET, CONFIGURATION, None)
    assert engine.apply_one(one) == ("delete", "")
    assert calls(client) == ["deregister_scalable_target"]
