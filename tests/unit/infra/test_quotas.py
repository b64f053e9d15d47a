"""Which quotas a deployment needs, what is said of them, and the command that asks for more."""

import json
import shlex
from dataclasses import replace

import pytest

from infra import presets, quotas
from infra.quotas import Applied, Need, Quotas
from infra.settings import DeploymentSettings, FunctionSettings, ModelSettings, TrainingSettings


def needed(preset: str) -> dict[str, int]:
    """How much of each quota a preset of the repository needs."""
    return {need.name: need.needed for need in quotas.needs_of(presets.read(presets.find(preset)))}


def test_c_needs_gpus_for_its_jobs_and_the_most_instances_of_its_endpoints() -> None:
    assert needed("c") == {
        "ml.g4dn.xlarge for training job usage": 3,  # one of one and one of two instances
        "ml.m5.large for endpoint usage": 4,  # up to 3, and 1
        "Concurrent executions": 200,
        "ml.t3.medium for notebook instance usage": 1,
    }


def test_b_needs_no_more_for_its_search_than_for_its_jobs() -> None:
    assert needed("b")["ml.m5.2xlarge for training job usage"] == 3


def test_a_search_of_many_jobs_at_once_needs_more_than_the_deployment() -> None:
    settings = DeploymentSettings()  # 3 of 10 jobs at once
    (training, *_) = quotas.needs_of(settings)
    assert (training.needed, training.reason) == (3, "1 of the models' training jobs, 3 of `make tune` at once")


def test_e_reserves_3_of_the_account() -> None:
    assert needed("e")["Concurrent executions"] == 103


def test_provisioned_environments_are_of_the_account_too() -> None:
    settings = DeploymentSettings(function=FunctionSettings(provisioned=2))
    assert [need.needed for need in quotas.needs_of(settings) if need.service == "lambda"] == [102]


def test_a_function_without_a_reservation_needs_none() -> None:
    assert [need for need in quotas.needs_of(DeploymentSettings()) if need.service == "lambda"] == []


def test_spot_has_a_quota_of_its_own() -> None:
    training = TrainingSettings("ml.g4dn.xlarge", spot=True)
    (need, *_) = quotas.needs_of(DeploymentSettings(models=(ModelSettings(training=training),)))
    assert need.name == "ml.g4dn.xlarge for spot training job usage"
    assert quotas.CODES[need.name] == "L-944F78BB"
    assert need.new_account == 0


def test_of_a_new_account_only_what_is_known_is_said() -> None:
    found = {need.name: need.new_account for need in quotas.needs_of(presets.read(presets.find("c")))}
    assert found["ml.g4dn.xlarge for training job usage"] == 0
    assert found["ml.m5.large for endpoint usage"] is None


@pytest.mark.parametrize(
    ("instance_type", "spot", "expected"),
    [
        ("g5.xlarge", False, [("Running On-Demand G and VT instances", 4)]),
        ("t2.xlarge", False, [("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 4)]),
        (
            "t3.xlarge",
            True,
            [
                ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 4),
                ("All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 4),
            ],
        ),
        ("x9.large", False, []),
        ("p3.2xlarge", False, []),
    ],
)
def test_a_host_needs_the_processors_of_its_class(
    instance_type: str, spot: bool, expected: list[tuple[str, int]]
) -> None:
    found = quotas.host_needs(instance_type, spot)
    assert [(need.name, need.needed) for need in found] == expected
    assert all(need.name in quotas.CODES for need in found)


GPU = Need("sagemaker", "ml.g4dn.xlarge for training job usage", 3, "instances", "jobs", 0)
CPU = Need("sagemaker", "ml.c5.xlarge for endpoint usage", 1, "instances", "endpoints")


def test_the_verdict_is_by_the_value_that_aws_applies() -> None:
    for value, verdict in ((3.0, "enough"), (2.0, "too low")):
        assert Quotas("us-east-1", (GPU,), {GPU.name: Applied(value, "L-1")}).verdict(GPU) == verdict
    assert Quotas("us-east-1", (GPU,), {}).verdict(GPU) == "not known"


def test_what_is_too_low_has_the_command_that_asks_for_it() -> None:
    found = quotas.lines(Quotas("eu-west-1", (GPU,), {GPU.name: Applied(0.0, "L-3F53BF0F")}))
    assert found[1].split(maxsplit=3)[:3] == ["too", "low", "(0)"]
    assert found[2].strip() == (
        "aws service-quotas request-service-quota-increase --service-code sagemaker --region eu-west-1 "
        "--quota-code L-3F53BF0F --desired-value 3"
    )


def test_what_is_enough_has_no_command() -> None:
    found = quotas.lines(Quotas("us-east-1", (GPU,), {GPU.name: Applied(30.0, "L-3F53BF0F")}))
    assert len(found) == 2
    assert found[1].startswith("enough (30) ")


def test_without_a_code_the_command_finds_it_by_its_name() -> None:
    words = shlex.split(quotas.request_command(CPU, "us-east-1", ""))
    assert words[2] == "list-aws-default-service-quotas"
    assert "Quotas[?QuotaName=='ml.c5.xlarge for endpoint usage'].[QuotaCode,Value]" in words


def test_what_was_not_asked_is_said_and_nothing_is_presented_as_aws_s() -> None:
    found = quotas.lines(quotas.not_asked("us-east-1", (GPU, CPU)))
    assert found[1] == "AWS was not asked, since the target is this machine: check these yourself."
    assert found[2].startswith("not known (new: usually 0)")
    assert found[4].startswith("not known  ")


def test_the_document_has_the_verdict_and_the_command() -> None:
    asked = Quotas("us-east-1", (GPU, CPU), {GPU.name: Applied(0.0, "L-3F53BF0F")})
    first, second = json.loads(json.dumps(quotas.document(asked)))["needs"]
    assert first["applied"] == {"value": 0.0, "code": "L-3F53BF0F"}
    assert (first["verdict"], second["verdict"], second["applied"]) == ("too low", "not known", None)
    assert first["request"].endswith("--desired-value 3")


def test_no_quota_stands_twice() -> None:
    settings = presets.read(presets.find("b"))
    alike = replace(settings, models=(settings.models[0], replace(settings.models[0], name="other")))
    names = [need.name for need in quotas.needs_of(alike)]
    assert len(names) == len(set(names))
