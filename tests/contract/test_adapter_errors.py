"""Our errors, through LocalStack's parser and serializer: what a client of AWS reads."""

import json

import pytest
from localstack.aws.protocol.serializer import create_serializer
from localstack.aws.spec import load_service

from stagemaker.adapters.errors import exception
from stagemaker.core.errors import ApiError


@pytest.mark.parametrize(("status", "message"), [(500, "it broke"), (0, ""), (0, "no answer"), (503, "")])
def test_every_member_of_an_error_arrives(status: int, message: str) -> None:
    members = {"OriginalStatusCode": status, "OriginalMessage": message, "LogStreamArn": ""}
    service = load_service("sagemaker-runtime")
    response = create_serializer(service).serialize_error_to_response(
        exception(ApiError("ModelError", "Received", 424, members)), service.operation_model("InvokeEndpoint"), {}, "id"
    )
    body = json.loads(response.data)
    assert {member: body[member] for member in members} == members
    assert response.status_code == 424
