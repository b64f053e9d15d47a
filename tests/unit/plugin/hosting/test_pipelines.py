"""Endpoints of several containers over the fake runtime: pipelines and direct invocation, through real servers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import invoke
from stagemaker.runtime.contract import ContainerSpec, Mount
from stagemaker.runtime.fake import FakeContainer
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import DATA, HostingEnvironment, archive, hosting_environment, until

GROUP = "/aws/sagemaker/Endpoints/end"
PIPELINE: tuple[dict[str, Any], ...] = ({"ContainerHostname": "clean"}, {}, {"ContainerHostname": "rank"})
NAMES = ["clean", "container-2", "rank"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hosting(tmp_path: Path, clock: FakeClock) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path, clock) as made:
        yield made


def deploy(hosting: HostingEnvironment, *containers: dict[str, Any], mode: str = "Serial", count: int = 1) -> None:
    """An endpoint "end" of these containers, in service."""
    hosting.containers("model", *containers, mode=mode)
    hosting.config("config", {"InitialInstanceCount": count})
    hosting.create()
    hosting.wait_for("InService")


def unwrapped(body: bytes) -> list[dict[str, Any]]:
    """What each container of a pipeline got, the last one first: each answers what it got."""
    seen = json.loads(body)
    try:
        return [seen, *unwrapped(seen["body"])]
    except json.JSONDecodeError:
        return [seen]


def by_instance(hosting: HostingEnvironment) -> list[list[ContainerSpec]]:
    """What was started, in the order of the instances and of their containers: instances start side by side."""
    instances: dict[str, list[ContainerSpec]] = {}
    for spec in hosting.runtime.started:
        instances.setdefault(spec.instance, []).append(spec)
    return list(instances.values())


def number_of(hosting: HostingEnvironment, name: str) -> int:
    """Which start was that of the container whose name ends so."""
    return [spec.name.endswith(name) for spec in hosting.runtime.started].index(True)


def error_of(hosting: HostingEnvironment, body: bytes = b"hello", **members: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        hosting.ask(body, **members)
    return error.value


def points(hosting: HostingEnvironment, name: str) -> list[tuple[float, str | None]]:
    """The values of a metric, with the container that each is of."""
    return [(value, dimensions.get("ContainerName")) for value, dimensions in hosting.logs.points[name]]


def test_the_answer_of_each_container_is_the_request_to_the_next(hosting: HostingEnvironment) -> None:
    deploy(hosting, *PIPELINE)
    answer = hosting.ask(b"1,2", ContentType="text/csv", Accept="image/png", CustomAttributes="x=1", InferenceId="i")
    last, middle, first = unwrapped(answer["Body"])
    assert [seen["container"].split("-")[-1] for seen in (first, middle, last)] == ["clean", "2", "rank"]
    assert first["body"] == "1,2"
    assert [seen["headers"]["Content-Type"] for seen in (first, middle, last)] == [
        "text/csv",
        *["application/json"] * 2,
    ]
    assert [seen["headers"].get("Accept") for seen in (first, middle, last)] == [None, None, "image/png"]
    assert {seen["headers"]["X-Amzn-SageMaker-Custom-Attributes"] for seen in (first, middle, last)} == {"x=1"}
    assert {seen["headers"]["X-Amzn-SageMaker-Inference-Id"] for seen in (first, middle, last)} == {"i"}
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("application/json", "AllTraffic")


def test_every_instance_runs_all_containers_each_with_its_own_model_and_log(hosting: HostingEnvironment) -> None:
    hosting.aws.objects["s3://bucket/rank.tar.gz"] = archive(**{"rank.json": "{}"})
    clean, middle, rank = PIPELINE
    deploy(
        hosting,
        {**clean, "ModelDataUrl": DATA, "Environment": {"A": "1"}},
        middle,
        {**rank, "ModelDataUrl": "s3://bucket/rank.tar.gz"},
        count=2,
    )
    assert len(hosting.runtime.started) == 6
    first, second = by_instance(hosting)
    assert [len(first), len(second)] == [3, 3]
    assert [spec.environment.get("A") for spec in first] == ["1", None, None]
    assert [len(spec.mounts) for spec in first] == [1, 0, 1]
    base_dirs = [spec.base_dir for spec in first]
    assert None not in base_dirs
    assert first[2].mounts == (Mount("/opt/ml/model", (base_dirs[2] or Path()) / "model"),)
    for spec, name, files in zip(first, NAMES, (["model.json"], [], ["rank.json"]), strict=True):
        lines = hosting.logs.lines[GROUP, f"AllTraffic/{spec.instance}/{name}"]
        assert lines[:2] == [f"Stagemaker: {spec.instance} runs on nothing: it is a fake", f"serving {files}"]
    images = hosting.describe()["ProductionVariants"][0]["DeployedImages"]
    assert [image["SpecifiedImage"] for image in images] == [spec.image for spec in first]
    assert all("ResolvedImage" in image for image in images)


def test_an_endpoint_that_comes_shows_the_images_of_all_containers(hosting: HostingEnvironment) -> None:
    hosting.containers("model", *PIPELINE, image="stagemaker/mute")
    hosting.config("config")
    hosting.create()
    pending = hosting.describe()["PendingDeploymentSummary"]["ProductionVariants"][0]["DeployedImages"]
    assert [image["SpecifiedImage"] for image in pending] == ["stagemaker/mute"] * 3


@pytest.mark.parametrize("name", NAMES)
def test_an_error_of_one_container_ends_the_call_and_names_it(hosting: HostingEnvironment, name: str) -> None:
    containers, place = [dict(each) for each in PIPELINE], NAMES.index(name)
    containers[place]["Environment"] = {"STATUS": "418"}
    deploy(hosting, *containers)
    error = error_of(hosting)
    assert (error.code, error.status) == ("ModelError", 424)
    assert error.message.startswith(f'Received client error (418) from {name} with message "as it always does".')
    assert (error.members["OriginalStatusCode"], error.members["OriginalMessage"]) == (418, "as it always does")
    asked = [name for name in NAMES if any("POST" in line for line in lines_of(hosting, name))]
    assert asked == NAMES[: place + 1]
    assert [container for _, container in points(hosting, "ContainerLatency")] == asked
    assert hosting.logs.values["Invocation4XXErrors"] == [1.0]


def lines_of(hosting: HostingEnvironment, container: str) -> list[str]:
    """The logs of a container of all instances."""
    return [line for (_, stream), lines in hosting.logs.lines.items() if stream.endswith(container) for line in lines]


def test_a_container_that_does_not_answer_in_time_is_named(
    hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(hosting, {}, {"Environment": {"STUCK": "1"}})
    monkeypatch.setattr(invoke, "TIMEOUT_S", 1.0)
    error = error_of(hosting)
    assert error.message.startswith(
        'Received server error (0) from container-2 with message "Your invocation timed out'
    )
    assert "waiting for a response from container container-2." in error.message


def test_a_container_that_says_too_much_to_the_next_is_named(hosting: HostingEnvironment) -> None:
    deploy(hosting, {}, {})
    error = error_of(hosting, b"large")
    assert error.members["OriginalMessage"] == "The container's response is longer than 6291456 bytes."
    assert "from container-1 with" in error.message


def test_model_latency_is_the_total_and_each_container_has_its_own(hosting: HostingEnvironment) -> None:
    deploy(hosting, *PIPELINE)
    hosting.ask()
    assert [container for _, container in points(hosting, "ContainerLatency")] == NAMES
    assert len(hosting.logs.values["ModelLatency"]) == 1
    assert points(hosting, "Invocations") == [(1.0, None)]
    dimensions = hosting.logs.dimensions["ContainerLatency"]
    assert dimensions == {"EndpointName": "end", "VariantName": "AllTraffic", "ContainerName": "rank"}


def test_an_endpoint_of_one_container_has_no_metrics_of_it(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    hosting.ask()
    assert "ContainerLatency" not in hosting.logs.values


def test_direct_invocation_asks_the_one_container_that_is_named(hosting: HostingEnvironment) -> None:
    deploy(hosting, {"ContainerHostname": "a"}, {"ContainerHostname": "b"}, mode="Direct")
    for name in ("b", "a", "b"):
        answer = hosting.ask(b"1,2", TargetContainerHostname=name, Accept="text/csv")
        (seen,) = unwrapped(answer["Body"])
        assert (seen["container"].split("-")[-1], seen["body"], seen["headers"]["Accept"]) == (name, "1,2", "text/csv")
    assert points(hosting, "Invocations") == [(1.0, None), (1.0, "b"), (1.0, None), (1.0, "a"), (1.0, None), (1.0, "b")]
    assert [container for _, container in points(hosting, "ContainerLatency")] == ["b", "a", "b"]
    for metric in ("Invocation4XXErrors", "Invocation5XXErrors", "OverheadLatency"):
        assert [container for _, container in points(hosting, metric)][:2] == [None, "b"]


def test_a_target_container_is_checked(hosting: HostingEnvironment) -> None:
    deploy(hosting, {"ContainerHostname": "a"}, {"ContainerHostname": "b"}, mode="Direct")
    missing, unknown = error_of(hosting), error_of(hosting, TargetContainerHostname="c")
    assert {(error.code, error.status) for error in (missing, unknown)} == {("ValidationError", 400)}
    assert "must name one of its containers, a, b" in missing.message
    assert "has no container of the TargetContainerHostname c" in unknown.message
    hosting.containers("serial", {}, {})
    hosting.config("serial", {"ModelName": "serial"})
    hosting.update("serial")
    hosting.wait_for("InService")
    assert "not configured for direct invocation" in error_of(hosting, TargetContainerHostname="a").message


def test_one_container_for_direct_invocation_must_be_named_too(hosting: HostingEnvironment) -> None:
    deploy(hosting, {"ContainerHostname": "a"}, mode="Direct")
    assert unwrapped(hosting.ask(TargetContainerHostname="a")["Body"])[0]["body"] == "hello"
    assert error_of(hosting).code == "ValidationError"


def test_an_instance_is_in_service_when_all_its_containers_are_healthy(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    hosting.containers("model", {}, {"Environment": {"SICK": "1"}})
    hosting.config("config", {"ContainerStartupHealthCheckTimeoutInSeconds": 60})
    hosting.create()
    until(lambda: any('"GET /ping' in line for line in lines_of(hosting, "container-2")), "a ping to the second")
    assert hosting.status() == "Creating"
    clock.now += 61
    hosting.wait_for("Failed")
    assert hosting.describe()["FailureReason"].startswith(
        "The container-2 for production variant AllTraffic did not pass the ping health check: it did not answer"
    )
    assert all(container.poll() for container in hosting.runtime.containers)
    assert hosting.left() == []


def test_a_container_that_ends_before_it_serves_ends_the_others_and_is_named(hosting: HostingEnvironment) -> None:
    hosting.models.create_model(
        SCOPE,
        {
            "ModelName": "model",
            "Containers": [{"Image": "stagemaker/serve"}, {"Image": "stagemaker/dies"}],
            "ExecutionRoleArn": ROLE,
        },
    )
    hosting.config("config")
    hosting.create()
    hosting.wait_for("Failed")
    reason = hosting.describe()["FailureReason"]
    assert "The container-2 for production variant" in reason
    assert "its container container-2 ended with exit code 3 before it was healthy" in reason
    assert all(container.poll() for container in hosting.runtime.containers)


def test_a_container_that_cannot_be_started_leaves_none_of_its_instance(
    hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = hosting.runtime.start

    def refuse_the_second(spec: ContainerSpec, on_line: Callable[[str], None]) -> FakeContainer:
        if spec.name.endswith("container-2"):
            raise ApiError("InternalFailure", "There is no room.", 500)
        return start(spec, on_line)

    monkeypatch.setattr(hosting.runtime, "start", refuse_the_second)
    hosting.containers("model", {}, {})
    hosting.config("config")
    hosting.create()
    hosting.wait_for("Failed")
    reason = hosting.describe()["FailureReason"]
    assert reason.startswith("The container-2 for production variant AllTraffic did not pass")
    assert "it could not be started: There is no room." in reason
    (first,) = hosting.runtime.containers
    assert first.poll() is not None


def test_containers_die_and_come_back_together_and_no_other_request_is_lost(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    deploy(hosting, {}, {}, count=2)
    with hosting.load(4) as load:
        load.wait_for_more(20)
        broken = hosting.runtime.started[0].instance
        hosting.tell(b"die", number_of(hosting, f"{broken}-container-2"))
        hosting.wait_for_line("its container container-2 ended with exit code 7; restart 1 of 3")
        until(lambda: hosting.current() == 1, "it is out of service")
        other = hosting.runtime.containers[number_of(hosting, f"{broken}-container-1")]
        until(lambda: other.poll() is not None, "the other container is stopped")
        load.wait_for_more(20)
        clock.now += 1
        until(lambda: hosting.current() == 2, "its return")
        load.wait_for_more(20)
    assert load.sent == len(load.answered) + len(load.failed)
    assert len(load.failed) <= 4
    assert {error.code for error in load.failed} <= {"ModelError"}
    assert len(hosting.runtime.started) == 6
    assert len(set(load.answered[-10:])) == 2


def test_a_request_is_sent_to_no_container_when_one_of_them_is_not_there(hosting: HostingEnvironment) -> None:
    deploy(hosting, {}, {}, count=2)
    broken = hosting.runtime.started[0].instance
    hosting.tell(b"refuse", number_of(hosting, f"{broken}-container-2"))
    hosting.wait_for_line("done")
    for _ in range(6):
        assert broken not in hosting.container_of()
    assert [line for line in lines_of(hosting, f"{broken}/container-1") if "POST" in line] == []


def test_an_answer_is_streamed_from_the_last_container(hosting: HostingEnvironment) -> None:
    deploy(hosting, {}, {})
    request = {"EndpointName": "end", "Body": b"hello", "Accept": "text/csv"}
    answer = hosting.streams.invoke_endpoint_with_response_stream(SCOPE, request)
    events = answer.pop("Body")
    body = b"".join(event["PayloadPart"]["Bytes"] for event in events)
    events.close()
    last, first = unwrapped(body)
    assert (last["headers"]["Accept"], first["body"]) == ("text/csv", "hello")
    assert [container for _, container in points(hosting, "ContainerLatency")] == ["container-1", "container-2"]


def test_a_stream_comes_from_the_container_that_is_named(hosting: HostingEnvironment) -> None:
    deploy(hosting, {"ContainerHostname": "a"}, {"ContainerHostname": "b"}, mode="Direct")
    request = {"EndpointName": "end", "Body": b"stream", "TargetContainerHostname": "b"}
    events = hosting.streams.invoke_endpoint_with_response_stream(SCOPE, request)["Body"]
    assert next(events) == {"PayloadPart": {"Bytes": b"first"}}
    hosting.tell(b"go on", number_of(hosting, "-b"))
    assert list(events) == [{"PayloadPart": {"Bytes": b"last"}}]
    events.close()


def test_capture_has_what_the_caller_sent_and_got(hosting: HostingEnvironment) -> None:
    hosting.containers("model", {}, {})
    capture = {
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://bucket/captured",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    }
    hosting.config("config", capture=capture)
    hosting.create()
    hosting.wait_for("InService")
    answer = hosting.ask(b"1,2", ContentType="text/csv")
    hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
    hosting.wait_for("gone")
    (data,) = [data for uri, data in hosting.aws.objects.items() if uri.startswith("s3://bucket/captured/")]
    captured = json.loads(data)["captureData"]
    assert (captured["endpointInput"]["data"], captured["endpointInput"]["encoding"]) == ("1,2", "CSV")
    assert captured["endpointOutput"]["data"] == answer["Body"].decode()


def test_an_image_that_does_not_say_that_it_takes_any_port_is_refused(hosting: HostingEnvironment) -> None:
    hosting.runtime.unlabelled = {"mute"}
    images = [{"Image": f"stagemaker/{name}", "ContainerHostname": name} for name in ("serve", "mute")]
    request = {"ModelName": "model", "Containers": images, "ExecutionRoleArn": ROLE}
    sentence = (
        "Your Ecr Image stagemaker/mute does not contain required "
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true Docker label(s)."
    )
    with pytest.raises(ApiError) as error:
        hosting.models.create_model(SCOPE, request)
    assert (error.value.code, error.value.message) == ("ValidationException", sentence)
    hosting.models.create_model(SCOPE, {**request, "Containers": images[1:]})  # alone it has port 8080
