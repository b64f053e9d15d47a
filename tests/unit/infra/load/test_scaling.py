"""How an endpoint is scaled for a load, and that everything is as before afterwards."""

import re

import pytest

from infra.cli import SCALED_SYSTEMS
from infra.errors import StepFailed
from infra.load import scaling
from infra.load.scaling import SYSTEMS, curve_for
from infra.paths import CHECKOUT
from infra.presets import find, read
from infra.settings import ScalingSettings
from tests.unit.infra.load.fakes import COMPRESSED, VARIANT, FakeAws


def test_every_system_of_the_command_line_has_settings() -> None:
    assert tuple(SYSTEMS) == SCALED_SYSTEMS


@pytest.mark.parametrize("name", "ABCDE")
def test_a_load_scales_as_the_preset_does(name: str) -> None:
    assert SYSTEMS[name] in [model.endpoint.scaling for model in read(find(name)).models]


@pytest.mark.parametrize(("name", "settings"), SYSTEMS.items())
def test_the_document_has_every_system_s_settings(name: str, settings: ScalingSettings) -> None:
    (row,) = [
        line for line in (CHECKOUT / "docs" / "load.md").read_text().splitlines() if line.startswith(f"| {name} |")
    ]
    cooldowns = (settings.scale_in_cooldown_s, settings.scale_out_cooldown_s)
    numbers = [settings.min_instances, settings.max_instances, int(settings.target), *cooldowns]
    assert [int(found) for found in re.findall(r"\d+", row.removeprefix(f"| {name} |"))] == numbers


def test_what_the_systems_set_by_hand() -> None:
    a, b, c, e = (SYSTEMS[name] for name in "ABCE")
    assert (a.max_instances, a.target, a.scale_in_cooldown_s, a.scale_out_cooldown_s) == (4, 25, 30, 5)
    assert (b.min_instances, b.max_instances) == (1, 5)
    assert (c.target, c.scale_in_cooldown_s, c.scale_out_cooldown_s) == (100, 10, 10)
    assert e.max_instances == 3


def test_the_load_is_below_the_target_then_needs_all_instances_and_is_below_again() -> None:
    curve = curve_for(ScalingSettings(1, 4, target=60), compression=1)
    assert curve.text == "step:0.5,3.5@180,0.5@780"
    assert curve.seconds == 33 * 60


def test_compressed_minutes_get_the_same_counts() -> None:
    real, compressed = (curve_for(SYSTEMS["A"], factor) for factor in (1, 12))
    assert compressed.seconds == real.seconds / 12
    assert compressed.requests == pytest.approx(real.requests, rel=1e-4)


def test_a_load_of_another_time_has_the_same_shape() -> None:
    assert curve_for(ScalingSettings(1, 4, target=60), compression=1, seconds=330).text == "step:0.5,3.5@30,0.5@130"


def test_a_system_s_settings_reach_aws() -> None:
    aws = FakeAws()
    aws.description = COMPRESSED
    assert scaling.scale(aws.services, VARIANT, SYSTEMS["A"]) == 12
    assert aws.target == {"MinCapacity": 1, "MaxCapacity": 4}
    assert aws.settings["ResourceId"] == "endpoint/dogs/variant/AllTraffic"
    assert aws.settings["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 25,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        "ScaleInCooldown": 30,
        "ScaleOutCooldown": 5,
    }


def test_aws_s_own_alarms_say_nothing_of_compression() -> None:
    assert scaling.scale(FakeAws().services, VARIANT, SYSTEMS["C"]) == 1


def test_a_variant_that_was_not_scalable_is_so_no_more() -> None:
    aws = FakeAws(instances=2)
    before = scaling.before(aws.services, VARIANT)
    scaling.scale(aws.services, VARIANT, SYSTEMS["A"])
    aws.instances = 4
    scaling.put_back(aws.services, VARIANT, before, poll_s=0)
    assert (aws.instances, aws.target, aws.policies) == (2, None, [])


def test_a_scalable_target_gets_its_range_again() -> None:
    aws = FakeAws(instances=7)
    aws.target = {"MinCapacity": 6, "MaxCapacity": 8}
    before = scaling.before(aws.services, VARIANT)
    scaling.scale(aws.services, VARIANT, SYSTEMS["A"])
    scaling.put_back(aws.services, VARIANT, before, poll_s=0)
    assert (aws.instances, aws.target, aws.policies) == (7, {"MinCapacity": 6, "MaxCapacity": 8}, [])


def test_what_a_killed_load_left_is_taken_away() -> None:
    aws = FakeAws()
    scaling.scale(aws.services, VARIANT, SYSTEMS["A"])
    before = scaling.before(aws.services, VARIANT)
    scaling.put_back(aws.services, VARIANT, before, poll_s=0)
    assert (aws.target, aws.policies) == (None, [])


def test_policies_of_the_user_are_never_touched() -> None:
    aws = FakeAws()
    aws.policies = ["mine"]
    with pytest.raises(StepFailed, match="has scaling policies already: mine"):
        scaling.before(aws.services, VARIANT)
    assert aws.policies == ["mine"]


def test_an_endpoint_that_failed_is_not_waited_for() -> None:
    aws = FakeAws()
    aws.sagemaker.answers["describe_endpoint"] = {"EndpointStatus": "Failed", "ProductionVariants": []}
    with pytest.raises(StepFailed, match="The endpoint dogs is Failed"):
        scaling.settled(aws.services, VARIANT, poll_s=0)
