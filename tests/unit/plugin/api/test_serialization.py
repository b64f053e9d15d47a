"""The form of a request, before any rule of its operation."""

import botocore.session
import pytest

from stagemaker.api.serialization import check_body
from stagemaker.core.errors import ApiError
from stagemaker.core.strict_json import read_json

SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")


def refusal(operation: str, body: bytes) -> str:
    with pytest.raises(ApiError) as caught:
        check_body(body, SAGEMAKER.operation_model(operation).input_shape)
    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)
    return caught.value.message


@pytest.mark.parametrize(
    "body", [b"{", b"{'a': 1}", b"\xff", b'{"MaxResults": NaN}', b'{"MaxResults": -Infinity}', b"[" * 100_000, b"1 2"]
)
def test_what_is_not_json(body: bytes) -> None:
    assert refusal("ListModels", body).startswith("The request body is not JSON: ")


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("ListModels", b"null", "Expected structure or map"),
        ("ListModels", b'"text"', "Expected structure or map"),
        ("ListModels", b"[]", "Start of list found where not expected"),
        ("ListModels", b'{"MaxResults": "10"}', "STRING_VALUE can not be converted to an Integer"),
        ("ListModels", b'{"MaxResults": true}', "TRUE_VALUE can not be converted to an Integer"),
        ("ListModels", b'{"NameContains": 5}', "NUMBER_VALUE can not be converted to a String"),
        ("ListModels", b'{"NameContains": ["a"]}', "Start of list found where not expected"),
        ("ListModels", b'{"NameContains": {}}', "Start of structure or map found where not expected."),
        ("ListModels", b'{"CreationTimeAfter": "soon"}', "STRING_VALUE can not be converted to a Date"),
        ("AddTags", b'{"Tags": {"Key": "a"}}', "Start of structure or map found where not expected."),
        ("AddTags", b'{"Tags": "a"}', "Expected list or null"),
        ("AddTags", b'{"Tags": ["a"]}', "Expected structure or map"),
        ("CreateTrainingJob", b'{"HyperParameters": {"epochs": 3}}', "NUMBER_VALUE can not be converted to a String"),
        (
            "CreateTrainingJob",
            b'{"EnableManagedSpotTraining": "true"}',
            "STRING_VALUE can not be converted to a Boolean",
        ),
    ],
)
def test_a_value_of_another_type(operation: str, body: bytes, message: str) -> None:
    assert refusal(operation, body) == message


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"MaxResults": null, "NewMember": [1]}', b'{"MaxResults": 10.0, "CreationTimeAfter": 1.5e9}'],
)
def test_what_aws_reads(body: bytes) -> None:
    check_body(body, SAGEMAKER.operation_model("ListModels").input_shape)


def test_an_operation_without_input_takes_an_object() -> None:
    check_body(b'{"any": 1}', None)
    with pytest.raises(ApiError):
        check_body(b"null", None)


def test_json_is_read_as_it_stands() -> None:
    assert read_json('[1, null, "\u00e9"]'.encode()) == [1, None, "\u00e9"]
