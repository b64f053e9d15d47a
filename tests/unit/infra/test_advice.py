"""What would do and cost less: each rule beside a case of the five systems, with the prices of the table."""

from dataclasses import replace
from typing import Any

import pytest

from infra import advice, presets
from infra.advice import Advice
from infra.ec2.settings import Ec2Settings
from infra.notebook.settings import NotebookSettings
from infra.prices import prices
from infra.prices.prices import NoPrices
from infra.settings import (
    DeploymentSettings,
    EndpointSettings,
    ModelSettings,
    Ranges,
    ScalingSettings,
    TrainingSettings,
    TuningSettings,
)

TABLE = prices.read()


def found(settings: DeploymentSettings) -> dict[tuple[str, str], Advice]:
    """By what it is about and what to use."""
    return {(one.subject, one.instead): one for one in advice.advice_of(settings, TABLE)}


def one_model(training: TrainingSettings | None = None, endpoint: EndpointSettings | None = None) -> DeploymentSettings:
    return DeploymentSettings(
        models=(ModelSettings("", training or TrainingSettings(), endpoint or EndpointSettings()),)
    )


def test_a_s_training_needs_no_gpu_of_24_gib() -> None:
    one = found(one_model(TrainingSettings("ml.g5.xlarge")))["training on ml.g5.xlarge", "ml.g4dn.xlarge"]
    assert one.saved == pytest.approx(0.477, abs=0.001)
    assert "4 vCPUs, 16 GiB, one T4 of 16 GiB" in one.reason
    assert "about 7 GiB at most" in one.reason
    assert "cheaper unless the A10G is more than 1.9 times as fast" in one.reason


def test_a_s_host_needs_none_either() -> None:
    host = found(replace(DeploymentSettings(), ec2=Ec2Settings("g5.xlarge", market="spot")))
    assert host["EC2 host on g5.xlarge", "g4dn.xlarge"].saved == pytest.approx(0.477, abs=0.001)
    assert ("EC2 host on g5.xlarge", "spot") not in host


def test_a_steady_load_is_not_put_on_a_type_that_bursts() -> None:
    """Of T3, AWS bills the bursts beyond its share; who has chosen a type that bursts is told of a cheaper one."""
    assert not [key for key in found(DeploymentSettings(ec2=Ec2Settings("m5.xlarge"))) if key[1] == "t3.xlarge"]
    c = found(DeploymentSettings(ec2=Ec2Settings("t2.xlarge")))
    assert c["EC2 host on t2.xlarge", "t3.xlarge"].saved == pytest.approx(0.103, abs=0.001)


def test_a_large_batch_or_large_photos_need_the_larger_gpu() -> None:
    gpu = one_model(TrainingSettings("ml.g5.xlarge"))
    for hyperparameters in ({"batch-size": "256"}, {"image-size": "448"}):
        assert ("training on ml.g5.xlarge", "ml.g4dn.xlarge") not in found(
            replace(gpu, hyperparameters=hyperparameters)
        )
    searched = TuningSettings(ranges=Ranges(categorical={"batch-size": ("32", "256")}))
    assert ("training on ml.g5.xlarge", "ml.g4dn.xlarge") not in found(replace(gpu, tuning=searched))


def test_the_memory_of_a_training_grows_with_its_batch_and_its_pixels() -> None:
    assert advice.training_gib(DeploymentSettings()) == pytest.approx(7.125)
    for full in ({"fine-tune": "full"}, {"fine-tune": "full", "batch-size": "0"}):  # the trainer's own default, 32
        assert advice.training_gib(replace(DeploymentSettings(), hyperparameters=full)) == pytest.approx(4.5625)
    small: Any = {"batch-size": "16", "image-size": "112"}
    assert advice.training_gib(replace(DeploymentSettings(), hyperparameters=small)) == pytest.approx(2.32, abs=0.01)


def test_b_could_train_on_fewer_gib_and_on_spot() -> None:
    b = found(presets.read(presets.find("b")))
    assert "8 vCPUs, 16 GiB" in b["training on ml.m5.2xlarge", "ml.c5.2xlarge"].reason
    assert b["training on ml.m5.2xlarge", "spot"].saved is None
    assert "its price is not known here" in b["training on ml.m5.2xlarge", "spot"].reason


def test_c_would_save_on_spot_what_ec2_saves() -> None:
    c = found(presets.read(presets.find("c")))
    assert c["training on ml.g4dn.xlarge", "spot"].saved == pytest.approx(0.581, abs=0.001)
    assert ("training on ml.g4dn.xlarge", "ml.g5.xlarge") not in c


def test_who_trains_on_spot_is_not_told_to() -> None:
    assert ("training on ml.g4dn.xlarge", "spot") not in found(one_model(TrainingSettings("ml.g4dn.xlarge", spot=True)))


def test_an_endpoint_is_as_large_as_its_load() -> None:
    slow = EndpointSettings("ml.m5.2xlarge", scaling=ScalingSettings(1, 4, target=25))
    assert "25 requests a minute" in found(one_model(endpoint=slow))["endpoint on ml.m5.2xlarge", "ml.m5.large"].reason
    busy = EndpointSettings("ml.m5.2xlarge", scaling=ScalingSettings(1, 4, target=500))
    assert "8 vCPUs, 16 GiB" in found(one_model(endpoint=busy))["endpoint on ml.m5.2xlarge", "ml.c5.2xlarge"].reason


def test_an_endpoint_that_scales_is_not_told_to_burst() -> None:
    scaled = EndpointSettings(scaling=ScalingSettings(1, 4, target=25))
    assert not [key for key in found(one_model(endpoint=scaled)) if key[0].startswith("endpoint")]
    plain = found(one_model())["endpoint on ml.m5.large", "ml.t2.medium"]
    assert "not for a steady load" in plain.reason


@pytest.mark.parametrize(("name", "is_told"), [("ml.m5.xlarge", True), ("ml.t3.medium", False), ("ml.x9.large", False)])
def test_e_s_notebook_is_large_enough(name: str, is_told: bool) -> None:
    told = advice.advice_of(DeploymentSettings(notebook=NotebookSettings(instance_type=name)), TABLE)
    found = [one.instead for one in told if one.subject == f"notebook on {name}"]
    assert found == (["ml.t3.medium"] if is_told else [])


def test_a_region_without_prices_has_no_advice_but_spot() -> None:
    settings = replace(one_model(TrainingSettings("ml.g5.xlarge")), region="eu-north-1")
    assert [one.instead for one in advice.advice_of(settings, TABLE)] == ["spot"]


def test_the_rules_name_the_prices_that_they_read() -> None:
    keys = advice.keys_of(one_model(TrainingSettings("ml.g5.xlarge")))
    assert {("training", "ml.g5.xlarge"), ("training", "ml.g4dn.xlarge"), ("ec2-spot", "g5.xlarge")} <= set(keys)
    assert ("training", "ml.m5.large") not in keys
    assert advice.advice_of(DeploymentSettings(), NoPrices({})) != ()


def test_the_reader_sees_what_is_saved_and_why() -> None:
    said = advice.lines(advice.advice_of(one_model(TrainingSettings("ml.g5.xlarge")), TABLE))
    assert said[0].endswith("(nothing of this is done by itself):")
    assert said[1].startswith("   saves 48%  training on ml.g5.xlarge: use ml.g4dn.xlarge, since it has ")
    assert advice.lines(()) == []
