"""Operations that are newer than the models of the stage: 501 by their name, in the protocol of their service."""

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from localstack.aws.spec import load_service

from stagemaker.adapters.unknown import unknown_operation
from tests.contract.gateway import Gateway


def ask(gateway: Gateway, signed_for: str, path: str, target: str = "", body: str = "{}") -> tuple[int, str, str]:
    """Status, error code and message of a POST that is signed for a service, as boto3 sends it."""
    scope = f"000000000000/20260101/eu-west-1/{signed_for}/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/x-amz-json-1.1" if target else "application/json",
        **({"X-Amz-Target": target} if target else {}),
    }
    address = urlsplit(gateway.url)
    connection = HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        return response.status, response.headers["X-Amzn-Errortype"], answer["message"]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("signed_for", "path", "target", "name"),
    [
        ("sagemaker", "/", "SageMaker.DescribeWhatComesNext", "DescribeWhatComesNext of sagemaker"),
        ("ecr", "/", "AmazonEC2ContainerRegistry_V20150921.PutWhatComesNext", "PutWhatComesNext of ecr"),
        ("sagemaker", "/endpoints/a/next", "", "POST /endpoints/a/next of sagemaker-runtime"),
    ],
)
def test_an_operation_that_no_model_knows_is_501_by_its_name(
    gateway: Gateway, signed_for: str, path: str, target: str, name: str
) -> None:
    answer = ask(gateway, signed_for, path, target)
    sentence = f"Stagemaker does not implement the operation {name} yet."
    assert answer == (501, "NotImplementedException", sentence)


def test_the_next_call_is_answered_as_ever(gateway: Gateway) -> None:
    ask(gateway, "sagemaker", "/", "SageMaker.DescribeWhatComesNext")
    assert gateway.client("sagemaker").list_models()["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize(
    ("service", "method", "path", "target", "name"),
    [
        ("sagemaker", "POST", "/", "SageMaker.CreateNext", "CreateNext"),
        ("sagemaker", "POST", "/", "SageMaker.CreateModel", None),
        ("sagemaker", "POST", "/", "", None),
        ("sagemaker-runtime", "POST", "/endpoints/a/invocations", "", None),
        ("sagemaker-runtime", "GET", "/endpoints/a/invocations", "", "GET /endpoints/a/invocations"),
        ("sagemaker-runtime", "POST", "/endpoints/a", "", "POST /endpoints/a"),
    ],
)
def test_only_what_the_model_lacks_is_unknown(
    service: str, method: str, path: str, target: str, name: str | None
) -> None:
    headers = {"X-Amz-Target": target} if target else {}
    assert unknown_operation(load_service(service), method, path, headers) == name
