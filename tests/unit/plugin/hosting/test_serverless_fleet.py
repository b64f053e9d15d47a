"""Serverless endpoints over the fake runtime: containers come with requests, and go without them."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.dispatch import Dispatcher
from stagemaker.hosting.health import HealthTimes
from stagemaker.runtime.fake import FakeProgram
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting.serverless_variants import (
    HELD,
    configure,
    deploy,
    described,
    held,
    release,
    running,
    variant,
)
from tests.unit.plugin.hosting_environment import (
    IMAGE,
    PATIENCE_S,
    HostingEnvironment,
    dies,
    echo_server,
    hosting_environment,
    until,
)

WARM_S = 300.0
COMMON = {"VariantName": "AllTraffic", "CurrentWeight": 1.0, "DesiredWeight": 1.0, "CurrentInstanceCount": 0}


def refuse(hosting: HostingEnvironment, body: bytes = b"hello", **members: Any) -> ApiError:
    """What a call is answered."""
    with pytest.raises(ApiError) as error:
        hosting.ask(body, **members)
    return error.value


def update(hosting: HostingEnvironment, **config: int) -> None:
    hosting.scale(ServerlessUpdateConfig=config)


def test_an_endpoint_comes_into_service_with_one_start_and_describes_no_instances(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, memory_mb=3072, most=7)
        (spec,) = hosting.runtime.started
        assert (spec.instance_type, spec.memory_mb, spec.cpus) == ("", 3072, 3)
        assert described(hosting) == {
            **COMMON,
            "CurrentServerlessConfig": {"MemorySizeInMB": 3072, "MaxConcurrency": 7},
        }
        assert {group for group, _ in hosting.logs.lines} == {"/aws/sagemaker/Endpoints/end"}
        assert hosting.container_of() == spec.name
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        assert (hosting.left(), running(hosting)) == ([], 0)


def test_a_container_without_requests_goes_after_a_while_and_another_comes_with_the_next(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deploy(hosting)
        first = hosting.container_of()
        clock.now += WARM_S
        until(lambda: running(hosting) == 0, "the end of the container")
        assert hosting.status() == "InService"
        (status,) = hosting.describe()["ProductionVariants"][0]["VariantStatus"]
        assert status["StatusMessage"] == "No container runs: there is no request."
        assert hosting.container_of() != first
        assert running(hosting) == 1
        assert hosting.statuses == ["Creating", "InService"]


def test_there_are_as_many_containers_as_requests_at_once(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        with held(hosting, 3) as calls:
            assert running(hosting) == 3
            assert refuse(hosting, TargetVariant="no").code == "ValidationError"
        assert len({call.result() for call in calls}) == 3
        assert hosting.container_of() in {call.result() for call in calls}
        assert len(hosting.runtime.started) == 3


def test_what_is_beyond_max_concurrency_is_throttled(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=2)
        with held(hosting, 2):
            error = refuse(hosting)
            assert (error.code, error.status) == ("ThrottlingException", 400)
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"
        assert hosting.logs.values["Invocations"] == [1.0, 1.0, 1.0]


def test_ten_times_as_many_callers_are_answered_or_throttled(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=2)
        with hosting.load(callers=20) as load:
            load.wait_for_more(40)
        assert load.sent == len(load.answered) + len(load.failed)
        assert {error.code for error in load.failed} <= {"ThrottlingException"}
        assert len(hosting.runtime.started) <= 2


def test_provisioned_containers_are_there_before_the_first_request_and_stay(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deploy(hosting, kept=2)
        assert running(hosting) == 2
        expected = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 2}
        assert described(hosting) == {**COMMON, "CurrentServerlessConfig": expected}
        with held(hosting, 3):
            assert running(hosting) == 3
        clock.now += WARM_S
        until(lambda: running(hosting) == 2, "the end of the third")
        clock.now += WARM_S
        hosting.tell(b"die", next(n for n, each in enumerate(hosting.runtime.containers) if each.running))
        until(lambda: sum(not each.running for each in hosting.runtime.containers) == 2, "the end of one of them")

        def another_has_come() -> bool:
            clock.now += 1
            return len(hosting.runtime.started) == 4

        until(another_has_come, "another one in its place")
        assert hosting.status() == "InService"


def test_a_model_that_cannot_start_fails_the_endpoint_in_aws_s_words(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model", IMAGE.replace("serve", "dies"))
        configure(hosting)
        hosting.create()
        hosting.wait_for("Failed")
        assert hosting.describe()["FailureReason"].startswith(
            "The primary container for production variant AllTraffic did not pass the ping health check: "
        )
        assert len(hosting.runtime.started) == 1


def test_a_container_has_three_minutes_for_its_first_ping(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.model("model", IMAGE.replace("serve", "mute"))
        configure(hosting)
        hosting.create()
        until(lambda: running(hosting) == 1, "a container")

        def has_failed() -> bool:
            clock.now += 180
            return hosting.status() == "Failed"

        until(has_failed, "a failure")
        assert "within 180 s" in hosting.describe()["FailureReason"]


def test_a_container_is_not_asked_for_its_health_while_it_has_its_request(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, times=HealthTimes(ping_every_s=0.01)) as hosting:
        deploy(hosting)
        hosting.wait_for_line("GET /ping")
        with held(hosting, 1):
            before = hosting.count_lines("GET /ping")
            time.sleep(0.3)
            assert hosting.count_lines("GET /ping") <= before + 1  # which had just begun


def test_a_container_that_dies_with_a_request_fails_that_request_only(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        with ThreadPoolExecutor(1) as callers:
            call = callers.submit(refuse, hosting, HELD)
            hosting.wait_for_line("got work")
            hosting.tell(b"die")
            assert call.result(PATIENCE_S).code == "ModelError"
        assert hosting.container_of() == hosting.runtime.started[1].name
        assert hosting.statuses == ["Creating", "InService"]


def test_a_container_that_gives_no_answer_is_ended(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        assert refuse(hosting, b"hang up").code == "ModelError"
        until(lambda: running(hosting) == 0, "the end of the container")
        assert hosting.container_of() == hosting.runtime.started[1].name


def test_an_idle_container_that_dies_is_just_gone(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        hosting.tell(b"die")
        until(lambda: running(hosting) == 0, "the end of the container")
        assert hosting.container_of() == hosting.runtime.started[1].name
        assert (hosting.statuses, len(hosting.runtime.started)) == (["Creating", "InService"], 2)


def test_a_start_in_vain_fails_the_request_that_it_was_for(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        with held(hosting, 1):
            hosting.runtime.behaviours["serve"] = dies
            error = refuse(hosting)
            assert (error.code, error.status) == ("ServiceUnavailable", 503)
            assert "exit code 3 before it was healthy" in error.message
            hosting.runtime.behaviours["serve"] = echo_server
            assert hosting.container_of() == hosting.runtime.started[2].name
        assert hosting.statuses == ["Creating", "InService"]


def test_an_update_loses_no_request(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=4)
        configure(hosting, "larger", most=8, memory_mb=4096)
        with hosting.load(callers=4) as load:
            load.wait_for_more(20)
            hosting.update("larger")
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        assert hosting.describe()["EndpointConfigName"] == "larger"
        assert described(hosting)["CurrentServerlessConfig"] == {"MemorySizeInMB": 4096, "MaxConcurrency": 8}


def test_what_is_to_come_is_described_while_an_update_goes_on(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        hosting.model("mute", IMAGE.replace("serve", "mute"))
        configure(hosting, "new", most=8, kept=2, ModelName="mute")
        hosting.update("new")
        until(lambda: running(hosting) == 3, "the new containers")
        pending = hosting.describe()["PendingDeploymentSummary"]
        (coming,) = pending["ProductionVariants"]
        assert pending["EndpointConfigName"] == "new"
        assert coming["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 8}
        assert coming["DesiredServerlessConfig"]["ProvisionedConcurrency"] == 2
        assert {"InstanceType", "DesiredInstanceCount"}.isdisjoint(coming)
        assert coming["VariantStatus"][0]["StatusMessage"] == "Launching 2 instance(s)."
        assert described(hosting)["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def test_an_update_to_a_model_that_cannot_start_leaves_all_as_it_was(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        hosting.model("broken", IMAGE.replace("serve", "dies"))
        configure(hosting, "broken", ModelName="broken")
        hosting.update("broken")
        hosting.wait_for("InService")
        assert "did not pass the ping health check" in hosting.describe()["FailureReason"]
        assert hosting.container_of() == hosting.runtime.started[0].name


def test_instances_do_not_become_serverless_but_the_reverse_is_allowed(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        hosting.config("instances")
        hosting.update("instances", RetainAllVariantProperties=True)
        hosting.wait_for("InService")
        found = described(hosting)
        assert (found["CurrentInstanceCount"], found["DesiredInstanceCount"]) == (1, 1)
        assert "CurrentServerlessConfig" not in found
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"
        with pytest.raises(ApiError, match="to a serverless endpoint") as error:
            hosting.update("config")
        assert error.value.code == "ValidationException"
        assert hosting.status() == "InService"


def test_concurrency_is_updated_without_a_new_configuration(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=1)
        update(hosting, MaxConcurrency=3, ProvisionedConcurrency=2)
        hosting.wait_for("InService")
        expected = {"MemorySizeInMB": 2048, "MaxConcurrency": 3, "ProvisionedConcurrency": 2}
        assert described(hosting)["CurrentServerlessConfig"] == expected
        assert running(hosting) == 2
        with held(hosting, 3):
            assert refuse(hosting).code == "ThrottlingException"
        assert hosting.describe()["EndpointConfigName"] == "config"


def test_an_update_of_concurrency_tells_what_there_is_and_what_is_desired(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, kept=1)
        hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
        update(hosting, ProvisionedConcurrency=2)
        until(lambda: running(hosting) == 2, "a second container")
        found = described(hosting)
        assert hosting.status() == "Updating"
        assert found["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 1
        assert found["DesiredServerlessConfig"]["ProvisionedConcurrency"] == 2


def test_provisioned_concurrency_that_cannot_start_is_taken_back(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, kept=1)
        hosting.runtime.behaviours["serve"] = dies
        update(hosting, ProvisionedConcurrency=2)
        hosting.wait_for("InService")
        assert hosting.statuses == ["Creating", "InService", "Updating", "RollingBack", "InService"]
        assert "did not pass the ping health check" in hosting.describe()["FailureReason"]
        assert described(hosting)["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 1


def test_updates_of_concurrency_that_are_refused(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=2)
        for change, sentence in (
            ({"ServerlessUpdateConfig": {"ProvisionedConcurrency": 3}}, "less than or equal to MaxConcurrency"),
            ({"DesiredInstanceCount": 2}, "it has no DesiredInstanceCount"),
        ):
            with pytest.raises(ApiError, match=sentence) as error:
                hosting.scale(**change)
            assert error.value.code == "ValidationException"
        assert hosting.status() == "InService"


def test_the_concurrency_of_an_account_is_limited(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=200)
        for number in range(4):
            hosting.create(f"end{number}")
        configure(hosting, "one", most=1)
        with pytest.raises(ApiError, match="is 1000 Total Concurrency") as error:
            hosting.create("more", "one")
        assert error.value.code == "ResourceLimitExceeded"
        hosting.wait_for("InService", "end0")
        hosting.update("one")
        hosting.wait_for("InService")
        hosting.create("more", "one")
        with pytest.raises(ApiError, match="is 1000 Total Concurrency"):
            hosting.update("config")


def test_a_deleted_endpoint_answers_what_it_has_and_takes_no_more(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=2)
        with hosting.load(callers=4) as load:
            load.wait_for_more(20)
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
            hosting.wait_for("gone")
        assert load.sent == len(load.answered) + len(load.failed)
        assert {error.code for error in load.failed} <= {"ThrottlingException", "ValidationError"}
        assert (hosting.left(), running(hosting)) == ([], 0)


def test_a_request_that_waits_is_let_go_when_the_endpoint_is_deleted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        with held(hosting, 1) as calls, ThreadPoolExecutor(1) as callers:
            hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
            waiting = callers.submit(refuse, hosting)
            until(lambda: running(hosting) == 2, "a container for it")
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
            assert waiting.result(PATIENCE_S).code == "ValidationError"
            release(hosting)
            assert calls[0].result(PATIENCE_S)
        hosting.wait_for("gone")


def test_a_request_has_four_megabytes_and_so_has_its_answer(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        assert hosting.ask(b"status 200".ljust(4 << 20))["InvokedProductionVariant"] == "AllTraffic"
        error = refuse(hosting, bytes((4 << 20) + 1))
        assert (error.code, error.status) == ("ValidationError", 400)
        assert "4194304" in error.message
        assert refuse(hosting, b"large").code == "ModelError"


def test_streams_have_a_container_to_themselves(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        request = {"EndpointName": "end", "Body": b"stream"}
        stream = hosting.streams.invoke_endpoint_with_response_stream(SCOPE, request)["Body"]
        assert next(stream) == {"PayloadPart": {"Bytes": b"first"}}
        assert hosting.container_of() == hosting.runtime.started[1].name
        hosting.tell(b"go on")
        assert list(stream) == [{"PayloadPart": {"Bytes": b"last"}}]
        stream.close()
        assert len(hosting.runtime.started) == 2


def test_a_serverless_endpoint_is_not_asynchronous(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        with pytest.raises(ApiError, match="is not asynchronous"):
            Dispatcher(hosting.store, hosting.endpoints, hosting.now_s).check_async(hosting.ref())


def test_a_cold_start_counts_as_overhead_and_has_a_metric_of_its_own(tmp_path: Path) -> None:
    clock, go = FakeClock(), threading.Event()

    def slow(program: FakeProgram) -> int:
        while not go.is_set():
            program.sleep(0.01)
        return echo_server(program)

    with hosting_environment(tmp_path, clock) as hosting:
        deploy(hosting)
        with held(hosting, 1), ThreadPoolExecutor(1) as callers:
            hosting.runtime.behaviours["serve"] = slow
            call = callers.submit(hosting.ask)
            until(lambda: running(hosting) == 2, "a second container")
            clock.now += 7
            go.set()
            call.result(PATIENCE_S)
            assert hosting.logs.values["OverheadLatency"] == [7_000_000]
            assert hosting.logs.values["ModelLatency"] == [0]
        until(lambda: hosting.logs.values["ModelSetupTime"] == [0, 7_000_000], "the time of both starts")


def test_the_metrics_are_those_of_aws_s_list_and_no_others(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting, most=4, kept=1)
        with held(hosting, 2):
            pass
        until(lambda: len(hosting.logs.values["Invocations"]) == 2, "both calls measured")
        assert {name for name, values in hosting.logs.values.items() if values} == {
            "Invocations",
            "Invocation4XXErrors",
            "Invocation5XXErrors",
            "ModelLatency",
            "OverheadLatency",
            "ModelSetupTime",
            "ServerlessConcurrentExecutionsUtilization",
            "ServerlessProvisionedConcurrencyExecutions",
            "ServerlessProvisionedConcurrencyUtilization",
            "ServerlessProvisionedConcurrencyInvocations",
            "ServerlessProvisionedConcurrencySpilloverInvocations",
        }
        assert sorted(hosting.logs.values["ServerlessConcurrentExecutionsUtilization"]) == [0.25, 0.5]


def test_a_configuration_keeps_what_it_was_given(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        configure(hosting, kept=1)
        found = hosting.configs.describe_endpoint_config(SCOPE, {"EndpointConfigName": "config"})
        assert found["ProductionVariants"] == [{**variant(kept=1), "InitialVariantWeight": 1.0}]
        hosting.model("many", Mode="MultiModel", ModelDataUrl="s3://bucket/models/")
        with pytest.raises(ApiError, match="A multi-model endpoint is not supported for serverless endpoint"):
            configure(hosting, "other", ModelName="many")


def test_the_container_sees_the_call_as_any_other(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deploy(hosting)
        answer = hosting.ask(b"photo", ContentType="image/jpeg", CustomAttributes="a=1")
        seen = json.loads(answer["Body"])
        assert (seen["body"], seen["headers"]["Content-Type"]) == ("photo", "image/jpeg")
        assert answer["CustomAttributes"] == "a=1"
