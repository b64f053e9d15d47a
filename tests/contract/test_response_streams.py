"""InvokeEndpointWithResponseStream on a real LocalStack, read by boto3."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from tests.contract.endpoints import host
from tests.contract.gateway import Gateway, until

ENDPOINT = "streams"
BEGIN = """
import os, time
def begin():
    self.send_response(200)
    self.send_header("Content-Type", "text/event-stream")
    self.send_header("X-Amzn-SageMaker-Custom-Attributes", "x=1")
    self.send_header("Transfer-Encoding", "chunked")
    self.end_headers()
def write(piece):
    self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
self.close_connection = True
"""
WAITS = """
begin()
write(b"first")
while not os.path.exists({path!r}):
    time.sleep(0.01)
"""
SLOW_S, PIECE_BYTES, PIECES = 3, 1 << 20, 192
MOST_BYTES = 96 << 20  # what the kernel and LocalStack take of an answer that nobody reads, with much to spare


@pytest.fixture(scope="module")
def runtime(gateway: Gateway, role: str) -> Any:
    host(gateway, role, ENDPOINT)
    return gateway.client("sagemaker-runtime")


def invoke(runtime: Any, program: str) -> dict[str, Any]:
    body = ("python " + BEGIN + program).encode()
    answer: dict[str, Any] = runtime.invoke_endpoint_with_response_stream(
        EndpointName=ENDPOINT, Body=body, ContentType="text/x-python", Accept="text/event-stream"
    )
    return answer


def test_the_first_part_arrives_before_the_container_writes_the_last(runtime: Any, tmp_path: Path) -> None:
    answer = invoke(runtime, WAITS.format(path=str(tmp_path / "go on")) + 'write(b"last"); write(b"")')
    with closing(answer["Body"]) as body:
        events = iter(body)
        assert next(events) == {"PayloadPart": {"Bytes": b"first"}}
        (tmp_path / "go on").touch()
        assert list(events) == [{"PayloadPart": {"Bytes": b"last"}}]
    assert answer["ContentType"] == "text/event-stream"
    assert answer["InvokedProductionVariant"] == "a"
    assert answer["CustomAttributes"] == "x=1"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["content-type"] == "application/vnd.amazon.eventstream"


def test_an_answer_that_breaks_off_is_an_error_in_the_stream(runtime: Any, tmp_path: Path) -> None:
    with closing(invoke(runtime, WAITS.format(path=str(tmp_path / "go on")))["Body"]) as body:
        events = iter(body)
        next(events)
        (tmp_path / "go on").touch()
        with pytest.raises(EventStreamError) as caught:
            next(events)
    error = caught.value.response
    assert error["Error"]["Code"] == "ModelStreamError"  # boto3 leaves out the ErrorCode
    assert error["Error"]["Message"].startswith("The container broke off the connection")


def test_an_error_before_the_first_part_is_a_plain_one(runtime: Any) -> None:
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint_with_response_stream(EndpointName=ENDPOINT, Body=b"broken")
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ModelError", 424)
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (500, "it broke")


def test_a_caller_who_leaves_ends_the_request_to_the_container(runtime: Any, tmp_path: Path) -> None:
    left = tmp_path / "left"
    body = invoke(runtime, f'begin(); write(b"first"); self.rfile.read(1); open({str(left)!r}, "w")')["Body"]
    next(iter(body))
    body.close()
    until(left.exists, bool)


def test_a_caller_who_does_not_read_does_not_fill_the_memory(runtime: Any, tmp_path: Path) -> None:
    """The container stops when it could write nothing for some seconds, and tells how much it had written."""
    told = tmp_path / "told"
    body = invoke(
        runtime,
        f"""
begin()
self.connection.settimeout({SLOW_S})
count = 0
try:
    for count in range({PIECES}):
        write(bytes({PIECE_BYTES}))
except OSError:
    pass
open({str(told)!r}, "w").write(str(count))
""",
    )["Body"]
    next(iter(body))
    written = until(lambda: told.exists() and told.read_text(), bool)
    assert int(written) * PIECE_BYTES < MOST_BYTES
    body.close()
