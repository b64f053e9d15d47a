"""InvokeEndpointAsync, through real servers of the fake runtime."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Scope
from stagemaker.hosting import dispatch, http_client
from stagemaker.hosting.async_config import ERROR, SUCCESS
from stagemaker.hosting.async_inference import AsyncInference
from stagemaker.hosting.async_request import TEST_MESSAGE, no_length
from tests.unit.plugin.fakes import SCOPE, FakeAws, FakeClock
from tests.unit.plugin.hosting_environment import HostingEnvironment, hosting_environment, until

GOOD, BAD = (f"arn:aws:sns:eu-west-1:123456789012:{name}" for name in ("good", "bad"))
OUTPUT = {
    "S3OutputPath": "s3://data/out",
    "S3FailurePath": "s3://data/failed",
    "NotificationConfig": {
        "SuccessTopic": GOOD,
        "ErrorTopic": BAD,
        "IncludeInferenceResponseIn": [SUCCESS, ERROR],
    },
}
IN = "s3://data/in.txt"


class AsyncAws(FakeAws):
    """With topics, and the types of objects."""

    def __init__(self) -> None:
        super().__init__({IN: b"from S3"})
        self.types: dict[str, str | None] = {}
        self.published: list[tuple[str, str]] = []
        self.fail_topics = False

    def upload_file(self, scope: Scope, path: Path, uri: str, content_type: str | None = None) -> None:
        super().upload_file(scope, path, uri)
        self.types[uri] = content_type

    def publish(self, scope: Scope, topic_arn: str, message: str) -> None:
        if self.fail_topics:
            raise validation_error("There is no such topic.")
        self.published.append((topic_arn, message))

    def told(self, topic: str) -> list[dict[str, Any]]:
        """The results that a topic was told of."""
        return [json.loads(text) for arn, text in [*self.published] if arn == topic and text != TEST_MESSAGE]


class Environment:
    """Hosting with asynchronous inference. `clock` is that of time limits."""

    def __init__(self, hosting: HostingEnvironment, folder: Path) -> None:
        self.hosting, self.aws, self.clock = hosting, AsyncAws(), FakeClock()
        self.values = hosting.logs.values
        self.inference = AsyncInference(
            hosting.store,
            hosting.endpoints,
            self.aws,
            hosting.logs,
            time.time,
            hosting.supervisor,
            folder / "asynchronous",
            elapsed=self.clock,
            minute_s=0.0,
        )

    def deploy(self, concurrent: int = 4, count: int = 1, **container: Any) -> None:
        """An asynchronous endpoint "end" in service."""
        self.hosting.model("model", **container)
        self.host(concurrent, count)

    def host(self, concurrent: int = 4, count: int = 1) -> None:
        """The endpoint of a model "model"."""
        client = {"MaxConcurrentInvocationsPerInstance": concurrent}
        self.hosting.configs.create_endpoint_config(
            SCOPE,
            {
                "EndpointConfigName": "config",
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": "model",
                        "InitialInstanceCount": count,
                        "InstanceType": "ml.m5.large",
                    }
                ],
                "AsyncInferenceConfig": {"ClientConfig": client, "OutputConfig": OUTPUT},
            },
        )
        self.hosting.create()
        self.hosting.wait_for("InService")

    def ask(self, **request: Any) -> dict[str, Any]:
        return self.inference.invoke_endpoint_async(SCOPE, {"EndpointName": "end", **request})

    def scale(self, count: int) -> None:
        """And wait until it is so."""
        self.hosting.scale(DesiredInstanceCount=count)
        self.hosting.wait_for("InService")
        until(lambda: self.hosting.current() == count, f"{count} instances")

    def wait_for_object(self, uri: str) -> bytes:
        until(lambda: uri in self.aws.objects, uri)
        return self.aws.objects[uri]

    def wait_until_idle(self) -> None:
        until(lambda: self.inference.backlog(self.hosting.ref()) == 0, "nothing waits")

    def outstanding(self) -> int:
        """How many requests the instances have."""
        router = self.hosting.endpoints.router(self.hosting.ref())
        assert router
        return sum(i.outstanding for fleet in router.shares for i in fleet.instances("AllTraffic"))

    def fails(self, **request: Any) -> tuple[str, bytes]:
        """The reason and the failure's object."""
        location = self.ask(**request)["FailureLocation"]
        self.wait_until_idle()
        return self.aws.told(BAD)[-1]["failureReason"], self.wait_for_object(location)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with hosting_environment(tmp_path) as hosting:
        yield Environment(hosting, tmp_path)
    assert not (tmp_path / "asynchronous").exists()


def test_an_input_in_s3_becomes_an_output_in_s3(environment: Environment) -> None:
    environment.deploy()
    answer = environment.ask(InputLocation=IN, ContentType="text/plain", InferenceId="mine", CustomAttributes="x=1")
    assert answer["InferenceId"] == "mine"
    assert answer["OutputLocation"].startswith("s3://data/out/")
    assert answer["FailureLocation"].startswith("s3://data/failed/")
    seen = json.loads(environment.wait_for_object(answer["OutputLocation"]))
    environment.wait_until_idle()
    assert seen["body"] == "from S3"
    expected = {
        "Content-Type": "text/plain",
        "Content-Length": "7",
        "X-Amzn-SageMaker-Inference-Id": "mine",
        "X-Amzn-SageMaker-Custom-Attributes": "x=1",
    }
    assert expected.items() <= seen["headers"].items()
    assert environment.aws.types[answer["OutputLocation"]] == "application/json"
    assert answer["FailureLocation"] not in environment.aws.objects
    [told] = environment.aws.told(GOOD)
    assert (told["invocationStatus"], told["inferenceId"]) == ("Completed", "mine")
    assert "responseBody" in told
    [lines] = [lines for (_, stream), lines in environment.hosting.logs.lines.items() if stream.endswith("/data-log")]
    assert "[mine] Inference request succeeded. ModelLatency: " in lines[0]


def test_a_body_is_an_input_too(environment: Environment) -> None:
    environment.deploy()
    answer = environment.ask(Body=b"hello")
    assert json.loads(environment.wait_for_object(answer["OutputLocation"]))["body"] == "hello"


def test_metrics_of_a_request(environment: Environment) -> None:
    environment.deploy()
    environment.ask(InputLocation=IN)
    environment.wait_until_idle()
    values, dimensions = environment.values, environment.hosting.logs.dimensions
    assert values["InvocationsProcesssed"] == [1.0]
    zero = ("InvocationFailures", "ExpiredRequests", "RequestDownloadFailures", "ResponseUploadFailures")
    for name in (*zero, "NotificationFailures", "Invocation4XXErrors", "Invocation5XXErrors"):
        assert values[name] == [0.0]
    for name in ("ModelLatency", "RequestDownloadLatency", "ResponseUploadLatency", "TotalProcessingTime"):
        assert len(values[name]) == 1
    assert dimensions["TimeInBacklog"] == {"EndpointName": "end", "VariantName": "AllTraffic"}
    assert "Invocations" not in values
    assert "OverheadLatency" not in values
    assert dimensions["ApproximateBacklogSize"] == {"EndpointName": "end"}


def test_each_metric_has_the_unit_of_awss_guide(environment: Environment) -> None:
    environment.deploy()
    environment.ask(InputLocation=IN)
    environment.wait_until_idle()
    until(lambda: environment.values["ApproximateBacklogSizePerInstance"] != [], "the metrics of the queue")
    kinds = environment.hosting.logs.kinds
    assert {namespace for namespace, _ in kinds.values()} == {"AWS/SageMaker"}
    by_unit: dict[str, set[str]] = {}
    for name, (_, unit) in kinds.items():
        by_unit.setdefault(unit, set()).add(name)
    assert by_unit == {
        "None": {"Invocation4XXErrors", "Invocation5XXErrors"},
        "Count": {
            *("InvocationsProcesssed", "InvocationFailures", "ExpiredRequests", "NotificationFailures"),
            *("RequestDownloadFailures", "ResponseUploadFailures", "ApproximateBacklogSize"),
            *("ApproximateBacklogSizePerInstance", "HasBacklogWithoutCapacity"),
        },
        "Seconds": {"ApproximateAgeOfOldestRequest"},
        "Milliseconds": {"TimeInBacklog", "TotalProcessingTime"},
        "Microseconds": {"ModelLatency", "RequestDownloadLatency", "ResponseUploadLatency"},
    }


def test_the_topics_are_tested_when_the_endpoint_is_made_and_changed(environment: Environment) -> None:
    environment.deploy()
    until(lambda: {*environment.aws.published} == {(GOOD, TEST_MESSAGE), (BAD, TEST_MESSAGE)}, "both are tested")
    environment.scale(2)
    until(lambda: environment.aws.published.count((GOOD, TEST_MESSAGE)) == 2, "it is tested again")


def test_a_container_s_error_is_a_failure(environment: Environment) -> None:
    environment.deploy()
    reason, kept = environment.fails(Body=b"status 500", InferenceId="mine")
    assert reason.startswith("ClientError: Received server error (500) from model. See the SageMaker Endpoint logs")
    assert kept == b"the container's reason"
    assert environment.values["Invocation5XXErrors"] == [1.0]
    assert environment.values["InvocationFailures"] == [1.0]
    line = '[mine] Received server error (500) from primary with message "the container\'s reason".'
    until(lambda: environment.hosting.count_lines(line) == 1, "the line")
    reason, _ = environment.fails(Body=b"status 400")
    assert "client error (400)" in reason
    assert environment.values["Invocation4XXErrors"] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"Body": b"stream"}, no_length("primary")),
        ({"Body": b"hang up"}, "The container broke off the connection"),
        ({"InputLocation": "s3://data/nothing"}, "Could not download s3://data/nothing"),
        ({"Body": b"say nothing", "InvocationTimeoutSeconds": 1}, "timed out while waiting"),
    ],
)
def test_what_leads_to_no_answer_is_a_failure(
    environment: Environment, request_: dict[str, Any], sentence: str
) -> None:
    environment.deploy()
    reason, kept = environment.fails(**request_)
    assert sentence in reason
    assert kept == reason.encode()
    assert environment.values["InvocationsProcesssed"] == [0.0]


def test_an_output_that_cannot_be_written_is_a_failure(environment: Environment) -> None:
    environment.deploy()
    environment.aws.fail_uploads = "There is no bucket data."
    environment.ask(Body=b"hello")
    environment.wait_until_idle()
    assert environment.aws.told(BAD)[0]["failureReason"] == "ClientError: There is no bucket data."
    assert environment.values["ResponseUploadFailures"] == [1.0]


def test_a_topic_that_is_away_is_counted(environment: Environment) -> None:
    environment.deploy()
    environment.aws.fail_topics = True
    answer = environment.ask(Body=b"hello")
    environment.wait_until_idle()
    assert answer["OutputLocation"] in environment.aws.objects
    assert environment.values["NotificationFailures"] == [1.0]


def test_an_instance_has_so_many_requests_at_once_and_the_others_wait(environment: Environment) -> None:
    environment.deploy(concurrent=2)
    for _ in range(5):
        environment.ask(Body=b"work 60")
    until(lambda: environment.outstanding() == 2, "two are in work")
    looked = len(environment.values["ApproximateBacklogSize"])
    until(lambda: len(environment.values["ApproximateBacklogSize"]) > looked + 1, "another look at the queue")
    assert environment.outstanding() == 2
    assert environment.inference.backlog(environment.hosting.ref()) == 5
    environment.hosting.wait_for_line("got work")
    environment.hosting.tell(b"go on")
    environment.wait_until_idle()
    assert [told["failureReason"] for told in environment.aws.told(BAD)] == []
    assert len(environment.aws.told(GOOD)) == 5


def test_an_endpoint_without_instances_keeps_what_comes(environment: Environment) -> None:
    environment.deploy()
    environment.scale(0)
    answer = environment.ask(Body=b"hello")
    values = environment.values
    until(lambda: values["HasBacklogWithoutCapacity"][-1:] == [1.0], "the metric")
    until(lambda: values["ApproximateBacklogSize"][-1:] == [1.0], "the metric")
    told = len(values["ApproximateBacklogSizePerInstance"])
    environment.clock.now += 10.0
    until(lambda: values["ApproximateAgeOfOldestRequest"][-1:] == [10.0], "the metric")
    assert len(values["ApproximateBacklogSizePerInstance"]) == told
    assert environment.hosting.describe()["EndpointStatus"] == "InService"
    environment.scale(1)
    environment.wait_for_object(answer["OutputLocation"])
    environment.wait_until_idle()
    until(lambda: values["ApproximateBacklogSizePerInstance"][told:][-1:] == [0.0], "the metric")
    until(lambda: values["HasBacklogWithoutCapacity"][-1] == 0.0, "the metric")


def test_a_request_that_waits_too_long_expires(environment: Environment) -> None:
    environment.deploy()
    environment.scale(0)
    answer = environment.ask(Body=b"hello", RequestTTLSeconds=60)
    other = environment.ask(Body=b"hello")
    environment.clock.now += 60.0
    kept = environment.wait_for_object(answer["FailureLocation"])
    assert kept == b"ClientError: The request waited longer than its RequestTTLSeconds."
    until(lambda: environment.values["ExpiredRequests"] == [1.0], "it is counted")
    assert other["FailureLocation"] not in environment.aws.objects
    assert environment.inference.backlog(environment.hosting.ref()) == 1


def test_a_request_that_reached_no_instance_waits_for_another(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (http_client, dispatch):
        monkeypatch.setattr(module, "CONNECT_S", 0.05)
    environment.deploy(count=2)
    environment.hosting.tell(b"be cut off")
    environment.hosting.wait_for_line("done")
    for _ in range(4):
        answer = environment.ask(Body=b"hello")
        seen = json.loads(environment.wait_for_object(answer["OutputLocation"]))
        assert seen["container"] == environment.hosting.runtime.started[1].name
    assert environment.values["InvocationFailures"] == [0.0] * 4


def test_requests_of_a_deleted_endpoint_are_forgotten(environment: Environment) -> None:
    environment.deploy()
    environment.scale(0)
    answer = environment.ask(Body=b"hello")
    environment.hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
    environment.hosting.wait_for("gone")
    assert environment.inference.backlog(environment.hosting.ref()) == 0
    assert not {answer["OutputLocation"], answer["FailureLocation"]} & {*environment.aws.objects}


def test_each_kind_of_endpoint_takes_its_own_operation_only(environment: Environment) -> None:
    environment.deploy()
    hosting = environment.hosting
    for call in (hosting.invoke.invoke_endpoint, hosting.streams.invoke_endpoint_with_response_stream):
        with pytest.raises(ApiError) as error:
            call(SCOPE, {"EndpointName": "end", "Body": b"x"})
        assert (error.value.code, error.value.message) == (
            "ValidationError",
            "Endpoint end is asynchronous: use InvokeEndpointAsync.",
        )
    hosting.config("real-time")
    hosting.create("other", "real-time")
    hosting.wait_for("InService", "other")
    with pytest.raises(ApiError, match="Endpoint other is not asynchronous"):
        environment.ask(EndpointName="other", Body=b"x")
    with pytest.raises(ApiError, match="not found"):
        environment.ask(EndpointName="none", Body=b"x")


def test_the_description_shows_the_configuration(environment: Environment) -> None:
    environment.deploy(concurrent=3)
    shown = environment.hosting.describe()["AsyncInferenceConfig"]
    assert shown == {"ClientConfig": {"MaxConcurrentInvocationsPerInstance": 3}, "OutputConfig": OUTPUT}


def test_a_request_goes_through_all_containers_of_a_pipeline(environment: Environment) -> None:
    environment.hosting.containers("model", {}, {})
    environment.host()
    answer = environment.ask(InputLocation=IN, ContentType="text/csv", Accept="image/png")
    until(lambda: answer["OutputLocation"] in environment.aws.objects, "the answer")
    last = json.loads(environment.aws.objects[answer["OutputLocation"]])
    first = json.loads(last["body"])
    assert (first["body"], first["headers"]["Content-Type"]) == ("from S3", "text/csv")
    assert (last["headers"]["Content-Type"], last["headers"]["Accept"]) == ("application/json", "image/png")
    until(lambda: len(environment.values["ContainerLatency"]) == 2, "the latency of each")


def test_one_container_may_say_more_to_the_next_than_a_real_time_answer_has(environment: Environment) -> None:
    environment.hosting.containers("model", {}, {"Environment": {"STATUS": "200"}})
    environment.host()
    answer = environment.ask(Body=b"large")
    until(lambda: answer["OutputLocation"] in environment.aws.objects, "the answer")
    assert environment.aws.objects[answer["OutputLocation"]] == b"as it always does"


def test_an_error_of_a_container_of_a_pipeline_names_it(environment: Environment) -> None:
    environment.hosting.containers("model", {}, {"Environment": {"STATUS": "500"}})
    environment.host()
    failure = environment.ask(InputLocation=IN)["FailureLocation"]
    until(lambda: failure in environment.aws.objects, "the failure")
    environment.hosting.wait_for_line('Received server error (500) from container-2 with message "as it always')
