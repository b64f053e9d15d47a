"""What is sent: a photo, or the event of each of the function's forms."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.load import payload
from infra.load.requests import Request
from tests.unit.infra.fakes import FakeClient, fake_clients, missing


def test_a_function_gets_the_photo_in_its_event() -> None:
    event = payload.event("E", "dogs", b"photo")
    assert base64.b64decode(event["instances"][0]["b64"]) == b"photo"


def test_system_c_gets_the_endpoint_and_the_request_as_text() -> None:
    event = payload.event("C", "dogs", b"photo")
    assert event["endpoint_name"] == "dogs"
    assert json.loads(event["request_dict"]) == payload.event("E", "dogs", b"photo")


def test_a_function_that_is_not_there_is_named() -> None:
    error: ClientError = missing("ResourceNotFoundException")
    clients = fake_clients(lambda_=FakeClient({"get_function_configuration": error}))
    with pytest.raises(StepFailed, match="There is no function dogs-proxy"):
        payload.for_function(clients, "dogs-proxy", "dogs", b"photo")


@pytest.mark.parametrize(("auth_type", "service"), [("NONE", ""), ("AWS_IAM", "lambda")])
def test_a_url_gets_the_photo_itself_and_a_signature_where_it_asks_for_one(auth_type: str, service: str) -> None:
    config = {"FunctionUrl": "http://id.lambda-url.us-east-1.localhost:4566/", "AuthType": auth_type}
    lambda_ = FakeClient({"get_function_url_config": config})
    request = payload.for_url(fake_clients(lambda_=lambda_), "dogs-proxy", "image/png", b"photo")
    assert request == Request(service, config["FunctionUrl"], {"Content-Type": "image/png"}, b"photo")
    assert lambda_.calls == [("get_function_url_config", {"FunctionName": "dogs-proxy", "Qualifier": "live"})]


def test_a_function_without_a_url_is_named() -> None:
    clients = fake_clients(lambda_=FakeClient({"get_function_url_config": missing("ResourceNotFoundException")}))
    with pytest.raises(StepFailed, match="dogs-proxy has no URL of its alias live"):
        payload.for_url(clients, "dogs-proxy", "image/png", b"photo")
