"""Events as they are sent, read again by botocore."""

from typing import Any

import botocore.session
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.model import StructureShape

from stagemaker.api.event_stream import Event, encoded


@pytest.fixture(scope="module")
def shape() -> StructureShape:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    return model.operation_model("InvokeEndpointWithResponseStream").get_event_stream_output()


def decoded(event: Event, shape: StructureShape) -> tuple[dict[str, Any], bytes]:
    buffer = EventStreamBuffer()
    buffer.add_data(encoded(event, shape))
    [message] = list(buffer)
    return message.headers, message.payload


def test_a_payload_is_sent_as_it_is(shape: StructureShape) -> None:
    headers, payload = decoded({"PayloadPart": {"Bytes": b"\x00\xff{"}}, shape)
    assert headers == {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    assert payload == b"\x00\xff{"


def test_an_exception_is_sent_as_json(shape: StructureShape) -> None:
    headers, payload = decoded({"ModelStreamError": {"Message": "é", "ErrorCode": "StreamBroken"}}, shape)
    assert headers == {
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    assert payload == b'{"Message": "\\u00e9", "ErrorCode": "StreamBroken"}'
