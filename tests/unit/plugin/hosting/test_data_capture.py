"""Data capture over the fake runtime: what lies in S3 when calls were answered, and that no caller notices."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.hosting import data_capture
from stagemaker.hosting.calls import PATH, ContainerCall
from stagemaker.hosting.capture import capture_config
from stagemaker.hosting.data_capture import DataCapture
from stagemaker.hosting.http_client import Reply
from tests.unit.plugin.fakes import SCOPE, FakeAws
from tests.unit.plugin.hosting_environment import HostingEnvironment, hosting_environment, until

BUCKET = "s3://bucket/captured"
CAPTURE: dict[str, Any] = {
    "InitialSamplingPercentage": 100,
    "DestinationS3Uri": BUCKET,
    "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
    "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
}
REPLY = Reply(200, {"content-type": "text/csv"}, b"yes")
NEVER_S = 3600.0


def events(aws: FakeAws, below: str = BUCKET) -> list[dict[str, Any]]:
    """Every line below the prefix."""
    files = [data for uri, data in [*aws.objects.items()] if uri.startswith(f"{below}/")]
    return [json.loads(line) for data in files for line in data.decode().splitlines()]


def inputs(aws: FakeAws, below: str = BUCKET) -> list[str]:
    """What callers sent."""
    return [event["captureData"]["endpointInput"]["data"] for event in events(aws, below)]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    made = Supervisor()
    yield made
    made.close()


def capture(aws: FakeAws, supervisor: Supervisor, percentage: int = 100, flush_s: float = NEVER_S) -> DataCapture:
    """Begun; its sample is always the same."""
    config = capture_config({"DataCaptureConfig": {**CAPTURE, "InitialSamplingPercentage": percentage}})
    assert config
    made = DataCapture(config, "end", SCOPE, aws, supervisor, sample=random.Random(7).random, flush_s=flush_s)  # noqa: S311
    made.start()
    return made


def offer(capture: DataCapture, body: bytes) -> None:
    """An invocation that was answered."""
    capture.offer("a", ContainerCall(PATH, {"Content-Type": "text/csv"}, body, 60.0), REPLY, 1_574_683_199.25)


@pytest.mark.parametrize(("percentage", "low", "high"), [(0, 0, 0), (20, 150, 250), (100, 1000, 1000)])
def test_the_percentage_says_how_many_are_captured(
    supervisor: Supervisor, percentage: int, low: int, high: int
) -> None:
    aws = FakeAws()
    capturing = capture(aws, supervisor, percentage)
    for number in range(1000):
        offer(capturing, b"%d" % number)
    capturing.end()
    found = inputs(aws)
    assert low <= len(found) <= high
    assert found == sorted(set(found), key=int)


def test_a_batch_is_one_file(supervisor: Supervisor) -> None:
    aws = FakeAws()
    capturing = capture(aws, supervisor)
    for _ in range(3):
        offer(capturing, b"1")
    capturing.end()
    (uri,) = aws.objects
    assert uri.startswith(f"{BUCKET}/end/a/2019/11/25/11/59-59-250-")
    assert len({event["eventMetadata"]["eventId"] for event in events(aws)}) == 3


def test_an_invocation_is_written_when_its_time_has_come(supervisor: Supervisor) -> None:
    aws = FakeAws()
    offer(capture(aws, supervisor, flush_s=0.05), b"1")
    until(lambda: inputs(aws) == ["1"], "the file")


def test_many_bytes_do_not_wait_for_the_time(supervisor: Supervisor) -> None:
    aws = FakeAws()
    offer(capture(aws, supervisor), b"x" * data_capture.FLUSH_BYTES)
    until(lambda: len(events(aws)) == 1, "the file")


def test_what_s3_refuses_waits_within_a_limit(supervisor: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    aws = FakeAws()
    aws.fail_uploads = "Could not write: The specified bucket does not exist"
    capturing = capture(aws, supervisor, flush_s=0.05)
    offer(capturing, b"first")
    until(lambda: not capturing.works, "the refusal")
    for _ in range(5):
        offer(capturing, b"x" * (data_capture.MAX_WAITING_BYTES // 4))
    until(lambda: sum(map(int, re.findall(r"(\d+) invocations are not captured", caplog.text))) == 2, "the count")
    assert caplog.text.count("The specified bucket does not exist") == 1
    aws.fail_uploads = ""
    until(lambda: len(events(aws)) == 4, "what waited")
    assert inputs(aws)[0] == "first"
    assert capturing.works


def test_what_s3_never_takes_is_counted_at_the_end(supervisor: Supervisor, caplog: pytest.LogCaptureFixture) -> None:
    aws = FakeAws()
    aws.fail_uploads = "no"
    capturing = capture(aws, supervisor)
    offer(capturing, b"1")
    capturing.end()
    assert "1 captured invocations are lost" in caplog.text


def deployed(hosting: HostingEnvironment, **variants: Any) -> None:
    """An endpoint in service, which captures."""
    hosting.model("model")
    hosting.config("config", capture=CAPTURE, **variants)
    hosting.create()
    hosting.wait_for("InService")


def delete(hosting: HostingEnvironment) -> None:
    hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
    hosting.wait_for("gone")


def test_nothing_is_lost_when_the_endpoint_is_deleted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        assert hosting.describe()["DataCaptureConfig"] == {
            "EnableCapture": True,
            "CaptureStatus": "Started",
            "CurrentSamplingPercentage": 100,
            "DestinationS3Uri": BUCKET,
            "KmsKeyId": "",
        }
        hosting.ask(b"1,2", ContentType="text/csv", InferenceId="mine")
        with hosting.load(body=b"work 0.01") as load:
            load.wait_for_more(20)
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        first = next(event for event in events(hosting.aws) if "inferenceId" in event["eventMetadata"])
        assert first["captureData"]["endpointInput"]["data"] == "1,2"
        assert json.loads(first["captureData"]["endpointOutput"]["data"])["body"] == "1,2"
        assert len(events(hosting.aws, f"{BUCKET}/end/AllTraffic")) == 1 + len(load.answered)
        assert not [name for name in hosting.supervisor.threads() if name.startswith("data capture")]


def test_a_new_configuration_captures_as_it_says(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        hosting.ask(b"old")
        hosting.config("next", capture={**CAPTURE, "DestinationS3Uri": "s3://bucket/next"})
        hosting.update("next")
        hosting.wait_for("InService")
        hosting.ask(b"new")
        hosting.config("off", capture={**CAPTURE, "EnableCapture": False})
        hosting.update("off")
        hosting.wait_for("InService")
        hosting.ask(b"never")
        assert hosting.describe()["DataCaptureConfig"]["CaptureStatus"] == "Stopped"
        delete(hosting)
        assert [len(events(hosting.aws, below)) for below in (BUCKET, "s3://bucket/next")] == [1, 1]


def test_a_failed_invocation_is_not_captured(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        for body in (b"status 500", b"hang up"):
            with pytest.raises(ApiError):
                hosting.ask(body)
        delete(hosting)
        assert events(hosting.aws) == []


def test_a_bucket_that_is_not_there_fails_no_call(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        hosting.aws.fail_uploads = "Could not write: The specified bucket does not exist"
        assert hosting.ask(b"x" * 5_000_000)["InvokedProductionVariant"] == "AllTraffic"
        until(
            lambda: hosting.describe()["DataCaptureConfig"]["CaptureStatus"] == "Stopped", "what DescribeEndpoint says"
        )
        delete(hosting)


def test_a_shadow_variant_is_captured_under_its_own_name(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting, shadow={})
        hosting.ask(b"1,2", ContentType="text/csv")
        until(lambda: "Shadow" in [where["VariantName"] for _, where in hosting.logs.points["Invocations"]], "the copy")
        delete(hosting)
        assert inputs(hosting.aws, f"{BUCKET}/end/AllTraffic") == inputs(hosting.aws, f"{BUCKET}/end/Shadow") == ["1,2"]


def test_without_capture_nothing_is_said_of_it(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        assert "DataCaptureConfig" not in hosting.describe()
