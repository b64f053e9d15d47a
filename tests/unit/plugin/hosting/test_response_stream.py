"""InvokeEndpointWithResponseStream, through real servers of the fake runtime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import response_stream
from stagemaker.hosting.model_error import PRIMARY, timed_out
from stagemaker.hosting.passage import NoAnswer
from stagemaker.hosting.response_stream import ResponseStream
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.hosting_environment import IMAGE, HostingEnvironment, hosting_environment, until

FIRST, LAST = ({"PayloadPart": {"Bytes": piece}} for piece in (b"first", b"last"))


@pytest.fixture
def hosting(tmp_path: Path) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path) as made:
        yield made


def answer(hosting: HostingEnvironment, body: bytes, **members: Any) -> dict[str, Any]:
    request = {"EndpointName": "end", "Body": body, **members}
    return hosting.streams.invoke_endpoint_with_response_stream(SCOPE, request)


def stream(hosting: HostingEnvironment, body: bytes = b"stream") -> ResponseStream:
    made = answer(hosting, body)["Body"]
    assert isinstance(made, ResponseStream)
    return made


def refused(hosting: HostingEnvironment, body: bytes, **members: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        answer(hosting, body, **members)
    return error.value


def outstanding(hosting: HostingEnvironment) -> int:
    router = hosting.endpoints.router(hosting.ref())
    assert router
    [fleet] = router.shares
    return sum(instance.outstanding for instance in fleet.instances("AllTraffic"))


def test_the_first_piece_is_there_before_the_container_writes_the_last(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    events = stream(hosting)
    assert next(events) == FIRST
    hosting.tell(b"go on")
    assert list(events) == [LAST]
    events.close()
    assert outstanding(hosting) == 0


def test_headers_go_through_both_ways(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    made = answer(hosting, b"body", ContentType="a/b", Accept="text/csv", CustomAttributes="x=1", InferenceId="id")
    seen = b"".join(event["PayloadPart"]["Bytes"] for event in made["Body"])
    made.pop("Body").close()
    for text in (b'"Content-Type": "a/b"', b'"Accept": "text/csv"', b'Custom-Attributes": "x=1"', b'Id": "id"'):
        assert text in seen
    assert made == {
        "ContentType": "application/json",
        "CustomAttributes": "x=1",
        "InvokedProductionVariant": "AllTraffic",
    }


def test_a_container_that_breaks_off_ends_the_stream_with_an_error(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    events = stream(hosting, b"stream and hang up")
    assert next(events) == FIRST
    hosting.tell(b"go on")
    [last] = list(events)
    assert last["ModelStreamError"]["ErrorCode"] == "StreamBroken"
    assert last["ModelStreamError"]["Message"].startswith("The container broke off the connection")
    events.close()
    assert hosting.logs.values["MidStreamErrors"] == [1.0]
    assert hosting.logs.values["InvocationModelErrors"] == [0.0]


class Fails:
    """Instead of a container: its second piece never comes, for this reason."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason

    def read(self) -> bytes:
        raise self.reason

    def cancel(self) -> None: ...
    def close(self) -> None: ...


def test_a_container_has_eight_minutes() -> None:
    assert response_stream.TIMEOUT_S == 480
    events = ResponseStream(Fails(NoAnswer(timed_out(PRIMARY), timed_out=True)), b"first", lambda _: None)
    error = {"Message": timed_out(PRIMARY), "ErrorCode": "ModelInvocationTimeExceeded"}
    assert list(events) == [FIRST, {"ModelStreamError": error}]


def test_what_goes_wrong_with_us_is_told_as_such() -> None:
    events = ResponseStream(Fails(KeyError("a mistake of ours")), b"first", lambda _: None)
    assert [list(event) for event in events] == [["PayloadPart"], ["InternalStreamFailure"]]


def test_a_caller_who_leaves_ends_the_request_to_the_container(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    events = stream(hosting)
    next(events)
    assert outstanding(hosting) == 1
    events.cancel()
    assert list(events) == []
    events.close()
    hosting.wait_for_line("broken off")
    assert outstanding(hosting) == 0
    assert hosting.logs.values["MidStreamErrors"] == [0.0]


def test_a_stream_that_nobody_reads_frees_its_place(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    events = stream(hosting)
    events.close()
    events.close()
    assert outstanding(hosting) == 0
    assert hosting.logs.values["Invocations"] == [1.0]


def test_what_goes_wrong_before_the_first_piece_is_a_plain_error(hosting: HostingEnvironment) -> None:
    assert refused(hosting, b"").code == "ValidationError"
    hosting.deploy()
    error = refused(hosting, b"status 503")
    assert (error.code, error.status, error.members["OriginalStatusCode"]) == ("ModelError", 424, 503)
    assert error.members["OriginalMessage"] == "the container's reason"
    assert hosting.logs.values["Invocation5XXErrors"] == [1.0]
    error = refused(hosting, b"hang up")
    assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 0)
    assert "MidStreamErrors" not in hosting.logs.values
    assert refused(hosting, bytes(6_291_457)).code == "ValidationError"
    assert refused(hosting, b"", TargetVariant="none").code == "ValidationError"
    assert outstanding(hosting) == 0


def test_no_healthy_container_is_service_unavailable(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    hosting.tell(b"die")
    until(lambda: hosting.runtime.containers[0].poll() is not None, "its death")
    error = refused(hosting, b"")
    assert (error.code, error.status) == ("ServiceUnavailable", 503)


def test_metrics_of_a_stream(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    events = stream(hosting)
    hosting.tell(b"go on")
    list(events)
    events.close()
    values, dimensions = hosting.logs.values, hosting.logs.dimensions
    assert values["MidStreamErrors"] == [0.0]
    assert values["Invocations"] == [1.0]
    [first], [model], [own] = (values[f"FirstChunk{name}Latency"] for name in ("", "Model", "Overhead"))
    assert first >= max(model, own) > 0
    assert values["ModelLatency"][0] >= model
    assert dimensions["FirstChunkLatency"] == {"EndpointName": "end", "VariantName": "AllTraffic"}
    assert hosting.logs.kinds["FirstChunkLatency"] == ("AWS/SageMaker", "Microseconds")


def test_an_endpoint_that_is_not_there(hosting: HostingEnvironment) -> None:
    hosting.model("model", IMAGE)
    assert refused(hosting, b"").message == "Endpoint end of account 123456789012 not found."
