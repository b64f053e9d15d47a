"""Which containers a model has, which of them a request is for, and what one says to the next."""

import io
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.multi_container import (
    check_combination,
    check_containers,
    check_target_container,
    container_names,
    first_call,
    is_multi_container,
    next_call,
)

DIRECT = {"InferenceExecutionConfig": {"Mode": "Direct"}}
A, B = {"ContainerHostname": "a"}, {"ContainerHostname": "b"}
CALL = ContainerCall(
    PATH, {"Content-Type": "text/csv", "Accept": "image/png", "X-Amzn-SageMaker-Inference-Id": "7"}, b"1,2", 60.0
)


def refused(model: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as error:
        check_containers(model)
    return error.value


@pytest.mark.parametrize(
    ("model", "names"),
    [
        ({"PrimaryContainer": A}, ["primary"]),
        ({"Containers": [A]}, ["primary"]),
        ({"Containers": [A], **DIRECT}, ["a"]),
        ({"Containers": [A, B]}, ["a", "b"]),
        ({"Containers": [{}, B, {}]}, ["container-1", "b", "container-3"]),
    ],
)
def test_containers_are_known_by_their_hostnames_or_as_on_aws_by_their_numbers(
    model: dict[str, Any], names: list[str]
) -> None:
    check_containers(model)
    assert container_names(model) == names
    assert is_multi_container(model) is (names != ["primary"])


def test_direct_invocation_needs_a_hostname_in_every_container() -> None:
    error = refused({"Containers": [A, {}], **DIRECT})
    assert (error.code, error.status) == ("ValidationException", 400)
    assert "needs a ContainerHostname" in error.message


@pytest.mark.parametrize("containers", [[A, A], [{}, {"ContainerHostname": "container-1"}]])
def test_two_containers_of_one_name_are_refused(containers: list[dict[str, Any]]) -> None:
    assert "must have different names" in refused({"Containers": containers}).message


def test_a_multi_model_container_in_a_pipeline_is_refused_by_name() -> None:
    several = {"Mode": "MultiModel"}
    assert (refused({"Containers": [several, {}]}).status, refused({"Containers": [several, several]}).status) == (
        501,
        400,
    )
    check_containers({"Containers": [several]})


def test_what_an_endpoint_of_several_containers_cannot_have() -> None:
    one: dict[str, Any] = {"PrimaryContainer": A}
    several: dict[str, Any] = {"Containers": [A, B]}
    direct = {**several, **DIRECT}
    shadow: dict[str, Any] = {"ShadowProductionVariants": [{}]}
    queue: dict[str, Any] = {"AsyncInferenceConfig": {}}
    for config, model in ((shadow, one), (queue, one), (queue, several)):
        check_combination(config, model)
    for config, model in ((shadow, several), (shadow, direct), (queue, direct)):
        with pytest.raises(ApiError, match="not supported with") as error:
            check_combination(config, model)
        assert error.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("direct", "target", "sentence"),
    [
        (False, "a", "endpoint end is not configured for direct invocation"),
        (True, "", "TargetContainerHostname must name one of its containers, a, b"),
        (True, "c", "Endpoint end has no container of the TargetContainerHostname c; it has a, b"),
        (True, "A", "Endpoint end has no container of the TargetContainerHostname A"),
    ],
)
def test_a_target_container_that_is_unknown_missing_or_needless_is_a_validation_error(
    direct: bool, target: str, sentence: str
) -> None:
    with pytest.raises(ApiError, match=sentence) as error:
        check_target_container("end", ["a", "b"], direct, target)
    assert error.value.code == "ValidationError"


def test_a_target_container_that_is_there_and_none_where_none_is_needed() -> None:
    check_target_container("end", ["a", "b"], True, "b")
    check_target_container("end", ["primary"], False, "")


def test_what_the_caller_accepts_is_for_the_last_container_only() -> None:
    body, answered = io.BytesIO(b"{}"), {"content-type": "application/json", "x-other": "stays"}
    assert first_call(CALL, alone=True) is CALL
    assert dict(first_call(CALL, alone=False).headers) == {
        "Content-Type": "text/csv",
        "X-Amzn-SageMaker-Inference-Id": "7",
    }
    between = {
        "Content-Type": "application/json",
        "Content-Length": "2",
        "X-Amzn-SageMaker-Inference-Id": "7",
    }
    assert dict(next_call(CALL, answered, body, 2, last=False).headers) == between
    last = next_call(CALL, answered, body, 2, last=True)
    assert dict(last.headers) == {**between, "Accept": "image/png"}
    assert last.body is body


def test_an_answer_without_a_content_type_goes_on_without_one() -> None:
    assert "Content-Type" not in next_call(CALL, {}, io.BytesIO(), 0, last=True).headers
