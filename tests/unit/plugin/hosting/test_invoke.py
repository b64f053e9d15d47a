"""InvokeEndpoint, through real servers of the fake runtime."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import calls, dispatch, http_client, invoke
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.hosting_environment import IMAGE, HostingEnvironment, hosting_environment, until


@pytest.fixture
def hosting(tmp_path: Path) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path) as made:
        yield made


def refused(hosting: HostingEnvironment, body: bytes = b"hello", **members: Any) -> ApiError:
    with pytest.raises(ApiError) as error:
        hosting.ask(body, **members)
    return error.value


def test_headers_and_body_go_through_both_ways(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    answer = hosting.ask(
        b"body", ContentType="image/png", Accept="text/csv", CustomAttributes="top=5", InferenceId="id-1"
    )
    seen = json.loads(answer.pop("Body"))
    assert answer == {
        "ContentType": "application/json",
        "CustomAttributes": "top=5",
        "InvokedProductionVariant": "AllTraffic",
    }
    assert seen["body"] == "body"
    expected = {
        "Content-Type": "image/png",
        "Accept": "text/csv",
        "X-Amzn-SageMaker-Custom-Attributes": "top=5",
        "X-Amzn-SageMaker-Inference-Id": "id-1",
        "Content-Length": "4",
    }
    assert expected.items() <= seen["headers"].items()


def test_an_empty_body_goes_through(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    assert json.loads(hosting.ask(b"")["Body"])["body"] == ""


def test_instances_take_turns(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialInstanceCount": 3})
    assert sorted(Counter(hosting.container_of() for _ in range(9)).values()) == [3, 3, 3]


def test_variants_share_by_weight_and_can_be_addressed(hosting: HostingEnvironment) -> None:
    hosting.deploy(
        {"VariantName": "a", "InitialVariantWeight": 3.0},
        {"VariantName": "b", "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}},
        {"VariantName": "c", "InitialVariantWeight": 0.0},
    )
    assert Counter(hosting.ask()["InvokedProductionVariant"] for _ in range(8)) == {"a": 6, "b": 2}
    assert hosting.ask(TargetVariant="c")["InvokedProductionVariant"] == "c"
    assert refused(hosting, TargetVariant="d").code == "ValidationError"


def test_no_weight_no_answer(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialVariantWeight": 0.0})
    assert refused(hosting).code == "ValidationError"


def test_an_endpoint_that_is_not_there_or_not_in_service(hosting: HostingEnvironment) -> None:
    error = refused(hosting)
    assert (error.code, error.status) == ("ValidationError", 400)
    assert error.message == "Endpoint end of account 123456789012 not found."
    hosting.model("model", IMAGE.replace("serve", "mute"))
    hosting.config("config")
    hosting.create()
    assert refused(hosting).message.endswith("It is Creating, not InService.")


@pytest.mark.parametrize("member", sorted(calls.OTHER_KINDS))
def test_parameters_of_other_kinds_of_endpoints(hosting: HostingEnvironment, member: str) -> None:
    missing = refused(hosting, b"", **{member: "x"})
    assert (missing.code, missing.message) == ("ValidationError", "Endpoint end of account 123456789012 not found.")
    hosting.deploy()
    error = refused(hosting, b"", **{member: "x"})
    assert error.code == "ValidationError"
    assert member in error.message


def test_a_target_model_needs_a_multi_model_endpoint(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    error = refused(hosting, TargetModel="model.tar.gz")
    assert (error.code, error.members) == ("ValidationError", {"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"})
    assert error.message == "Endpoint end is not a multi-model endpoint and does not support target model header."


def test_the_longest_body_goes_through_and_one_more_byte_does_not(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    longest = b"x" * calls.MAX_BODY_BYTES
    assert refused(hosting, longest + b"x").code == "ValidationError"
    assert len(longest) == 6_291_456
    error = refused(hosting, longest)  # the echo with its JSON around is over the limit
    assert "longer than 6291456 bytes" in error.members["OriginalMessage"]


@pytest.mark.parametrize(
    ("status", "side", "metric"), [(400, "client", "Invocation4XXErrors"), (503, "server", "Invocation5XXErrors")]
)
def test_a_container_s_error_is_passed_on(hosting: HostingEnvironment, status: int, side: str, metric: str) -> None:
    hosting.deploy()
    error = refused(hosting, f"status {status}".encode())
    assert (error.code, error.status) == ("ModelError", 424)
    page = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logEventViewer:group="
    assert f"See {page}/aws/sagemaker/Endpoints/end in account 123456789012" in error.message
    assert error.message.startswith(f"Received {side} error ({status}) from primary with message \"the container's")
    assert error.members == {
        "OriginalStatusCode": status,
        "OriginalMessage": "the container's reason",
        "LogStreamArn": "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/end",
    }
    assert hosting.logs.values[metric] == [1.0]
    assert hosting.logs.values["InvocationModelErrors"] == [1.0]
    errors = ("Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors")
    for name in ("Invocations", "InvocationsPerInstance", *errors):
        assert hosting.logs.kinds[name] == ("AWS/SageMaker", "None")
    for name in ("ModelLatency", "OverheadLatency"):
        assert hosting.logs.kinds[name] == ("AWS/SageMaker", "Microseconds")


@pytest.mark.parametrize(("body", "sentence"), [(b"hang up", "broke off"), (b"large", "longer than 6291456 bytes")])
def test_an_answer_that_is_none_is_a_model_error(hosting: HostingEnvironment, body: bytes, sentence: str) -> None:
    hosting.deploy()
    error = refused(hosting, body)
    assert (error.code, error.members["OriginalStatusCode"]) == ("ModelError", 0)
    assert sentence in error.members["OriginalMessage"]


def test_a_container_has_a_minute(hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls.TIMEOUT_S == 60
    hosting.deploy()
    monkeypatch.setattr(invoke, "TIMEOUT_S", 1e-6)
    assert "timed out while waiting" in refused(hosting).members["OriginalMessage"]


def test_an_instance_that_has_just_died_is_passed_over(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialInstanceCount": 2})
    hosting.ask(b"die")
    until(lambda: any(container.poll() for container in hosting.runtime.containers), "its death")
    assert len({hosting.container_of() for _ in range(4)}) == 1


def test_metrics_of_an_invocation(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialInstanceCount": 2})
    hosting.ask()
    values = dict(hosting.logs.values)
    latency, overhead = values.pop("ModelLatency"), values.pop("OverheadLatency")
    assert values == {
        "Invocations": [1.0],
        "InvocationsPerInstance": [0.5],
        "Invocation4XXErrors": [0.0],
        "Invocation5XXErrors": [0.0],
        "InvocationModelErrors": [0.0],
    }
    assert 0 < latency[0] < 10_000_000
    assert 0 <= overhead[0] < 1_000_000
    assert hosting.logs.dimensions["ModelLatency"] == {"EndpointName": "end", "VariantName": "AllTraffic"}
    assert SCOPE.account == "123456789012"


def test_a_request_that_may_have_arrived_is_sent_to_no_other_instance(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialInstanceCount": 3})
    for number in range(1, 7):
        assert refused(hosting, b"hang up").code == "ModelError"
        assert hosting.count_lines("got hang up") == number


def test_a_request_that_was_not_delivered_goes_to_another_instance(hosting: HostingEnvironment) -> None:
    hosting.deploy({"InitialInstanceCount": 2})
    hosting.tell(b"refuse")
    hosting.wait_for_line("done")
    assert {hosting.container_of() for _ in range(4)} == {hosting.runtime.started[1].name}


def test_an_instance_that_takes_no_connection_is_given_up_for_another(
    hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "CONNECT_S", 0.05)
    monkeypatch.setattr(dispatch, "CONNECT_S", 0.05)
    hosting.deploy({"InitialInstanceCount": 2})
    hosting.tell(b"be cut off")
    hosting.wait_for_line("done")
    assert {hosting.container_of() for _ in range(4)} == {hosting.runtime.started[1].name}


def test_the_minute_is_for_all_instances_together(hosting: HostingEnvironment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invoke, "TIMEOUT_S", 2)
    monkeypatch.setattr(dispatch, "CONNECT_S", 1.2)
    monkeypatch.setattr(http_client, "CONNECT_S", 1.2)
    hosting.deploy({"InitialInstanceCount": 2})
    for number in (0, 1):
        hosting.tell(b"be cut off", number)
    until(lambda: hosting.count_lines("done") == 2, "both are cut off")
    began = time.monotonic()
    assert "timed out while waiting" in refused(hosting).members["OriginalMessage"]
    assert 2 <= time.monotonic() - began < 3.6
