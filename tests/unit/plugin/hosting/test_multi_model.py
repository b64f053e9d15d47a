"""What multi-model endpoints decide, without a container."""

from dataclasses import dataclass
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.multi_model import (
    MAX_STICKY,
    HeldModel,
    ModelsSource,
    by_model,
    check_combination,
    check_target,
    model_call,
    model_name,
    models_source,
    to_delete,
    to_unload,
)

CONTAINER = {"Mode": "MultiModel", "ModelDataUrl": "s3://bucket/models/"}
SOURCE = ModelsSource("s3://bucket/models/", caches=True)


@dataclass
class FakeInstance:
    id: str
    outstanding: int = 0
    model: str = ""

    def holds(self, target_model: str) -> bool:
        return self.model == target_model


def order(*instances: FakeInstance) -> list[str]:
    return [instance.id for instance in by_model(instances, "m")]


def held(target: str, turn: int, *, busy: bool = False, loaded: bool = True, on_disk: bool = True) -> HeldModel:
    return HeldModel(target, turn, busy, loaded, on_disk)


def test_a_model_of_one_model_has_no_prefix() -> None:
    for container in ({}, {"Mode": "SingleModel", "ModelDataUrl": "s3://bucket/model.tar.gz"}):
        assert models_source(container) is None


def test_a_prefix_and_whether_models_are_cached() -> None:
    assert models_source(CONTAINER) == SOURCE
    assert models_source({**CONTAINER, "MultiModelConfig": {"ModelCacheSetting": "Enabled"}}) == SOURCE
    disabled = models_source({**CONTAINER, "MultiModelConfig": {"ModelCacheSetting": "Disabled"}})
    assert disabled == ModelsSource("s3://bucket/models/", caches=False)


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        ({"MultiModelConfig": {}}, "MultiModelConfig can be given only with Mode MultiModel"),
        ({"Mode": "MultiModel"}, "ModelDataUrl must be given"),
        ({**CONTAINER, "ModelDataUrl": "https://bucket/models"}, "ModelDataUrl must be given"),
        ({**CONTAINER, "ModelDataSource": {"S3DataSource": {}}}, "ModelDataSource cannot be used"),
    ],
)
def test_what_contradicts_itself_is_refused(container: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ApiError, match=sentence) as error:
        models_source(container)
    assert error.value.code == "ValidationException"


@pytest.mark.parametrize("member", [{"ShadowProductionVariants": [{}]}, {"AsyncInferenceConfig": {}}])
def test_what_no_multi_model_endpoint_can_have_is_refused(member: dict[str, Any]) -> None:
    check_combination({"ProductionVariants": [{}]})
    with pytest.raises(ApiError, match="supported with multi-model endpoints") as error:
        check_combination(member)
    assert error.value.code == "ValidationException"


def test_a_target_lies_below_the_prefix() -> None:
    for prefix in ("s3://bucket/models/", "s3://bucket/models"):
        assert ModelsSource(prefix, caches=True).uri("dir/m.tar.gz") == "s3://bucket/models/dir/m.tar.gz"


def test_the_name_for_the_container_tells_nothing_of_the_target() -> None:
    name = model_name("s3://bucket/models/../m.tar.gz")
    assert name.isalnum()
    assert len(name) == 32
    assert name != model_name("s3://bucket/models/m.tar.gz")


def test_a_target_is_for_multi_model_endpoints_only_and_needed_there() -> None:
    without, with_one = ContainerCall(PATH, {}, b"", 60.0), ContainerCall(PATH, {}, b"", 60.0, "m")
    check_target("end", None, without)
    check_target("end", SOURCE, with_one)
    with pytest.raises(ApiError, match="Endpoint end is not a multi-model endpoint and does not support") as error:
        check_target("end", None, with_one)
    assert error.value.members == {"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"}
    with pytest.raises(ApiError, match="missing a target model header") as error:
        check_target("end", SOURCE, without)
    assert error.value.code == "ValidationError"


def test_the_container_gets_the_target_and_its_own_name_of_it() -> None:
    call = model_call(ContainerCall(PATH, {"Accept": "text/csv"}, b"body", 60.0, "m.tar.gz"), "abc")
    assert call.path == "/models/abc/invoke"
    assert call.headers == {"Accept": "text/csv", "X-Amzn-SageMaker-Target-Model": "m.tar.gz"}
    assert call.body == b"body"


def test_requests_stick_to_the_instance_that_holds_the_model() -> None:
    assert order(FakeInstance("a"), FakeInstance("b", MAX_STICKY - 1, "m")) == ["b", "a"]


def test_a_busy_holder_shares_the_model_with_an_instance_that_has_less_to_do() -> None:
    assert order(FakeInstance("a"), FakeInstance("b", MAX_STICKY, "m")) == ["a", "b"]
    assert order(FakeInstance("a", 9), FakeInstance("b", 9, "m")) == ["b", "a"]
    assert order(FakeInstance("a", 9, "m"), FakeInstance("b", 2, "m"), FakeInstance("c")) == ["b", "a", "c"]


def test_a_model_that_nobody_holds_goes_to_the_one_with_the_fewest_requests_whose_turn_it_is() -> None:
    assert order(FakeInstance("a", 1), FakeInstance("b"), FakeInstance("c")) == ["b", "c", "a"]


def test_the_least_recently_used_idle_model_is_unloaded() -> None:
    models = [held("old", 1, busy=True), held("next", 2), held("new", 3), held("gone", 0, loaded=False)]
    assert to_unload(models) == "next"
    assert to_unload(models[:1]) is None
    assert to_unload([]) is None


def test_files_of_models_that_are_not_loaded_go_first() -> None:
    models = [held("loaded", 1), held("unloaded", 2, loaded=False), held("busy", 0, busy=True, loaded=False)]
    assert to_delete(models) == "unloaded"
    assert to_delete(models[:1]) == "loaded"
    assert to_delete(models[2:]) is None
    assert to_delete([held("bare", 1, on_disk=False)]) is None
