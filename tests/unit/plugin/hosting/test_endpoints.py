"""Endpoints over the fake runtime: real servers come up, die, come back and go."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.health import HealthTimes
from stagemaker.runtime.contract import ContainerSpec, Exit, HardwareRefused
from stagemaker.runtime.fake import FakeContainer, FakeRuntime
from tests.unit.plugin.fakes import ROLE, SCOPE, FakeClock
from tests.unit.plugin.hosting_environment import (
    DATA,
    IMAGE,
    HostingEnvironment,
    hosting_environment,
    until,
    until_told,
)

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/end"
LOG_GROUP = "/aws/sagemaker/Endpoints/end"


def image(name: str) -> str:
    return IMAGE.replace("serve", name)


def test_an_endpoint_comes_into_service_and_goes(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model", Environment={"A": "1"})
        hosting.config("config", {"InitialInstanceCount": 2})
        assert hosting.endpoints.create_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"}) == {
            "EndpointArn": ARN
        }
        hosting.wait_for("InService")
        described = hosting.describe()
        (variant,) = described["ProductionVariants"]
        assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (2, 2)
        assert {"Tags", "FailureReason"}.isdisjoint(described)
        first, second = hosting.runtime.started
        assert first.environment == {"AWS_ACCESS_KEY_ID": "LSIAROLE", "AWS_REGION": "eu-west-1", "A": "1"}
        assert first.base_dir
        assert (first.base_dir / "model" / "model.json").read_text() == "{}"
        assert first.base_dir != second.base_dir
        assert sorted(group for group, _ in hosting.logs.lines) == [LOG_GROUP, LOG_GROUP]
        assert all(stream.startswith("AllTraffic/i-") for _, stream in hosting.logs.lines)
        for (_, stream), lines in hosting.logs.lines.items():
            instance = stream.rpartition("/")[2]
            assert lines[:2] == [
                f"Stagemaker: {instance} runs on nothing: it is a fake",
                "serving ['model.json']",
            ]
        assert variant["VariantStatus"] == [
            {"Status": "ActivatingTraffic", "StatusMessage": "Runs on nothing: it is a fake."}
        ]
        assert hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"}) == {}
        hosting.wait_for("gone")
        assert hosting.left() == []
        assert all(container.poll() for container in hosting.runtime.containers)
        assert [container.graces_s for container in hosting.runtime.containers] == [[30], [30]]


def test_its_instances_are_on_one_network_and_renew_the_role_s_credentials(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        hosting.config("config", {"InitialInstanceCount": 2})
        hosting.endpoints.create_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"})
        hosting.wait_for("InService")
        first, second = hosting.runtime.started
        assert first.group == second.group != ""
        assert first.credentials
        assert first.credentials().role_arn == ROLE


def test_all_that_it_does_under_its_role_is_done_in_the_subnet_of_its_model(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        container = {"Image": IMAGE, "ModelDataUrl": DATA}
        vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
        request = {"ModelName": "model", "PrimaryContainer": container, "ExecutionRoleArn": ROLE, "VpcConfig": vpc}
        hosting.models.create_model(SCOPE, request)
        hosting.config("config")
        hosting.endpoints.create_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"})
        hosting.wait_for("InService")
        (spec,) = hosting.runtime.started
        assert spec.credentials
        spec.credentials()
        assert hosting.aws.subnets == {"subnet-1"}


def test_endpoints_are_listed(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        listed = hosting.endpoints.list_endpoints(SCOPE, {"StatusEquals": "InService"})["Endpoints"]
        assert [(e["EndpointName"], e["EndpointArn"], e["EndpointStatus"]) for e in listed] == [
            ("end", ARN, "InService")
        ]
        assert hosting.endpoints.list_endpoints(SCOPE, {"StatusEquals": "Failed"}) == {"Endpoints": []}


def test_what_create_endpoint_refuses(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.config("many", {"InitialInstanceCount": 21})
        hosting.models.delete_model(SCOPE, {"ModelName": "model"})
        for name, config, code, sentence in (
            ("End", "config", "ValidationException", f'Cannot create already existing endpoint "{ARN}".'),
            ("new", "no", "ValidationException", "Could not find endpoint configuration"),
            ("new", "config", "ValidationException", "Could not find model"),
        ):
            with pytest.raises(ApiError, match=sentence) as error:
                hosting.create(name, config)
            assert error.value.code == code
        hosting.model("model")
        with pytest.raises(ApiError, match="at most 20 instances") as error:
            hosting.create("new", "many")
        assert error.value.code == "ResourceLimitExceeded"
        linear = {"Type": "LINEAR", "WaitIntervalInSeconds": 0}
        deployment = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": linear}}
        with pytest.raises(ApiError, match="needs LinearStepSize") as error:
            hosting.endpoints.create_endpoint(
                SCOPE, {"EndpointName": "new", "EndpointConfigName": "config", "DeploymentConfig": deployment}
            )
        assert error.value.code == "ValidationException"
        assert hosting.status("new") == "gone"


@pytest.mark.parametrize("operation", ["describe_endpoint", "delete_endpoint", "update_endpoint"])
def test_an_endpoint_that_is_not_there(tmp_path: Path, operation: str) -> None:
    with hosting_environment(tmp_path) as hosting, pytest.raises(ApiError, match='Could not find endpoint "arn:'):
        getattr(hosting.endpoints, operation)(SCOPE, {"EndpointName": "x", "EndpointConfigName": "y"})


def test_an_endpoint_outlives_its_model_and_configuration(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.models.delete_model(SCOPE, {"ModelName": "model"})
        hosting.configs.delete_endpoint_config(SCOPE, {"EndpointConfigName": "config"})
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        ({"image": image("dies")}, "ended with exit code 3 before it was healthy"),
        ({"ModelDataUrl": "s3://bucket/broken"}, "Failed to extract model data archive"),
        ({"ModelDataUrl": "s3://bucket/gone"}, "Could not download s3://bucket/gone"),
    ],
)
def test_a_fleet_that_cannot_start_fails_with_the_reason(
    tmp_path: Path, container: dict[str, Any], sentence: str
) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.aws.objects |= {"s3://bucket/broken": b"no archive", "s3://bucket/gone": b""}
        hosting.model("model", **container)
        del hosting.aws.objects["s3://bucket/gone"]
        hosting.config("config", {"InitialInstanceCount": 2})
        hosting.create()
        hosting.wait_for("Failed")
        assert hosting.logs.flushed
        assert sentence in hosting.describe()["FailureReason"]
        assert "ProductionVariants" not in hosting.describe()
        assert hosting.left() == []
        assert all(c.poll() for c in hosting.runtime.containers)
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert hosting.status() == "gone"


@pytest.mark.parametrize("container", [{"image": image("mute")}, {"Environment": {"SICK": "1"}}])
def test_a_container_that_is_never_healthy_fails_the_endpoint_in_time(
    tmp_path: Path, container: dict[str, Any]
) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.model("model", **container)
        hosting.config("config", {"ContainerStartupHealthCheckTimeoutInSeconds": 60})
        hosting.create()
        until(lambda: bool(hosting.runtime.started), "a container")
        assert hosting.status() == "Creating"
        clock.now += 61
        hosting.wait_for("Failed")
        assert "did not answer GET /ping with 200 within 60 s" in hosting.describe()["FailureReason"]
        assert all(c.poll() for c in hosting.runtime.containers)


def test_the_runtime_s_reason_for_an_end_is_told(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, hungry=lambda program: Exit(137, "It ran out of memory.")) as hosting:
        hosting.model("model", image("hungry"))
        hosting.config("config")
        hosting.create()
        hosting.wait_for("Failed")
        reason = "its container ended with exit code 137 (It ran out of memory) before it was healthy"
        assert reason in hosting.describe()["FailureReason"]


def test_hardware_that_there_is_not_is_refused_at_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(instance_type: str, hosts: int) -> None:
        if (instance_type, hosts) == ("ml.g5.xlarge", 1):
            raise HardwareRefused("There is no GPU: set STAGEMAKER_GPU=auto.")

    with hosting_environment(tmp_path) as hosting:
        monkeypatch.setattr(hosting.runtime, "check_hardware", check)
        hosting.deploy({"InitialInstanceCount": 2})
        hosting.config("gpu", {"VariantName": "a"}, {"VariantName": "b", "InstanceType": "ml.g5.xlarge"})
        for call in (hosting.endpoints.create_endpoint, hosting.endpoints.update_endpoint):
            name = "end" if call == hosting.endpoints.update_endpoint else "new"
            with pytest.raises(ApiError, match="There is no GPU") as error:
                call(SCOPE, {"EndpointName": name, "EndpointConfigName": "gpu"})
            assert error.value.code == "ResourceLimitExceeded"
        assert (hosting.status("new"), hosting.status()) == ("gone", "InService")


def test_one_sick_variant_fails_the_whole_endpoint(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        hosting.model("other", image("dies"))
        hosting.config("config", {"VariantName": "a"}, {"VariantName": "b", "ModelName": "other"})
        hosting.create()
        hosting.wait_for("Failed")
        assert "production variant b " in hosting.describe()["FailureReason"]
        assert all(c.poll() for c in hosting.runtime.containers)


def test_an_endpoint_that_is_created_is_not_deleted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model", image("mute"))
        hosting.config("config", {"InitialInstanceCount": 3})
        hosting.create()
        until(lambda: len(hosting.runtime.started) == 3, "three containers")
        with pytest.raises(ApiError) as caught:
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert (caught.value.code, caught.value.message) == (
            "ValidationException",
            f'Cannot update in-progress endpoint "{ARN}".',
        )
        assert hosting.status() == "Creating"
    assert all(c.poll() for c in hosting.runtime.containers)


def test_a_deleting_endpoint_keeps_its_name_until_it_is_gone(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting, ThreadPoolExecutor() as pool:
        hosting.deploy()
        request = pool.submit(hosting.ask, b"work 0.5")
        until(lambda: hosting.count_lines("got work") == 1, "a request")
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert hosting.status() == "Deleting"
        with pytest.raises(ApiError, match="already existing"):
            hosting.create()
        with pytest.raises(ApiError, match="It is Deleting, not InService"):
            hosting.ask()
        assert request.result()["InvokedProductionVariant"] == "AllTraffic"
        hosting.wait_for("gone")
        hosting.create()
        assert "FailureReason" not in hosting.describe()


def test_an_endpoint_that_is_deleted_under_load_answers_what_it_has_accepted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        with hosting.load(body=b"work 0.05") as load:
            load.wait_for_more(20)
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
            hosting.wait_for("gone")
        assert {error.code for error in load.failed} == {"ValidationError"}
        assert hosting.count_lines("got work") == len(load.answered)
        assert load.sent == len(load.answered) + len(load.failed)
        assert hosting.left() == []


def test_a_deleting_endpoint_waits_for_no_request_for_ever(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, times=HealthTimes(request_s=0.2)) as hosting, ThreadPoolExecutor() as pool:
        hosting.deploy()
        request = pool.submit(hosting.ask, b"work 30")
        until(lambda: hosting.count_lines("got work") == 1, "a request")
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        with pytest.raises(ApiError) as caught:
            request.result()
        assert caught.value.code == "ModelError"


@pytest.mark.parametrize("name", ["END", "End"])
def test_names_are_one_at_create_and_exact_afterwards(tmp_path: Path, name: str) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        with pytest.raises(ApiError, match=f'Cannot create already existing endpoint "{ARN}"'):
            hosting.endpoints.create_endpoint(SCOPE, {"EndpointName": name, "EndpointConfigName": "config"})
        with pytest.raises(ApiError, match=f"Endpoint {name} of account .* not found"):
            hosting.invoke.invoke_endpoint(SCOPE, {"EndpointName": name, "Body": b"x"})
        assert hosting.ask()["Body"]


def test_a_container_that_dies_comes_back(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        hosting.ask(b"die")
        until(lambda: hosting.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 0, "its death")
        assert hosting.status() == "InService"
        with pytest.raises(ApiError) as error:
            hosting.ask()
        assert (error.value.code, error.value.status) == ("ServiceUnavailable", 503)
        hosting.wait_for_line("exit code 7; restart 1 of 3 in 1 s")
        clock.now += 1
        until(lambda: hosting.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 1, "its return")
        assert hosting.ask()["InvokedProductionVariant"] == "AllTraffic"


def test_every_instance_runs_the_image_that_the_name_meant_at_first(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.runtime.digests[IMAGE] = f"sha256:{'1' * 64}"
        first = f"{IMAGE.partition(':')[0]}@{hosting.runtime.digests[IMAGE]}"
        hosting.deploy()
        resolved_s = clock.now
        hosting.runtime.digests[IMAGE] = f"sha256:{'2' * 64}"
        clock.now += 60
        hosting.scale(DesiredInstanceCount=2)
        hosting.wait_for("InService")
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 1
        until(lambda: len(hosting.runtime.started) == 3, "a restart")
        assert {spec.pinned for spec in hosting.runtime.started} == {first}
        image = {"SpecifiedImage": IMAGE, "ResolvedImage": first, "ResolutionTime": resolved_s}
        assert hosting.describe()["ProductionVariants"][0]["DeployedImages"] == [image]


def test_an_image_that_is_gone_fails_the_endpoint(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, FakeClock()) as hosting:
        hosting.model("model")
        hosting.config("config")
        del hosting.runtime.behaviours["serve"]
        hosting.create()
        hosting.wait_for("Failed")
        assert "it could not be started: The image" in hosting.describe()["FailureReason"]
        assert hosting.runtime.started == []


def test_a_variant_whose_containers_keep_dying_fails_the_endpoint(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        for number, delay_s in enumerate((1, 2, 4), start=1):
            hosting.ask(b"die")
            count = len(hosting.runtime.started)
            hosting.wait_for_line(f"restart {number} of 3")
            clock.now += delay_s
            until(lambda before=count: len(hosting.runtime.started) > before, "a restart")  # type: ignore[misc]
            until(lambda: hosting.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 1, "its return")
        hosting.ask(b"die")
        hosting.wait_for("Failed")
        assert "exit code 7 and was restarted 3 times before" in hosting.describe()["FailureReason"]
        assert hosting.left() == []


@pytest.mark.parametrize("refusals", [6, 1000])
def test_a_restart_that_the_engine_cannot_do_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    clock, refused = FakeClock(), list[str]()

    def start(spec: ContainerSpec, on_line: Callable[[str], None]) -> FakeContainer:
        if len(refused) == refusals:
            return FakeRuntime.start(hosting.runtime, spec, on_line)
        refused.append(spec.name)
        raise ApiError("InternalFailure", "Docker does not answer.", 500)

    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy()
        monkeypatch.setattr(hosting.runtime, "start", start)
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3 in 1 s")
        for number in range(1, 7):
            assert hosting.status() == "InService"
            clock.now += 2
            until(lambda count=number: len(refused) >= count, "a restart")  # type: ignore[misc]
        if refusals == 1000:
            clock.now += 240
            hosting.wait_for("Failed")
            assert "it could not be started: Docker does not answer, for 2" in hosting.describe()["FailureReason"]
        else:
            clock.now += 2
            until(lambda: hosting.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 1, "its return")
            (lines,) = hosting.logs.lines.values()
            assert "Stagemaker: it could not be started: Docker does not answer; tried again in 2 s." in lines


def test_an_endpoint_that_was_lost_is_out_of_service_until_all_has_stopped(tmp_path: Path) -> None:
    go = threading.Event()
    clock = FakeClock()
    with hosting_environment(tmp_path, clock, clings=until_told(go)) as hosting:
        hosting.model("model")
        hosting.model("other", image("clings"))
        hosting.config("config", {"VariantName": "a"}, {"VariantName": "b", "ModelName": "other"})
        hosting.create()
        hosting.wait_for("InService")
        del hosting.runtime.behaviours["serve"]  # so that the restart is refused
        hosting.ask(b"die", TargetVariant="a")
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 1
        hosting.wait_for("OutOfService")
        with pytest.raises(ApiError, match="OutOfService"):
            hosting.ask(TargetVariant="b")
        go.set()
        hosting.wait_for("Failed")
        assert "it could not be started" in hosting.describe()["FailureReason"]


def test_a_machine_without_a_thread_to_spare_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        hosting.config("config")
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError):
                hosting.create()
        assert hosting.status() == "gone"
        hosting.create()
        hosting.wait_for("InService")
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")


def test_the_other_instances_serve_on_when_one_is_lost(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy({"InitialInstanceCount": 2})
        hosting.ask(b"die")
        until(lambda: hosting.describe()["ProductionVariants"][0]["CurrentInstanceCount"] == 1, "its death")
        assert len({hosting.container_of() for _ in range(4)}) == 1


def test_update_replaces_the_fleet_without_a_gap(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        old = hosting.container_of()
        hosting.config("next", {"InitialInstanceCount": 2})
        stop = threading.Event()
        failures: list[ApiError] = []

        def ask_on() -> None:
            while not stop.is_set():
                try:
                    hosting.ask()
                except ApiError as error:
                    failures.append(error)

        asking = threading.Thread(target=ask_on)
        asking.start()
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        assert hosting.describe()["EndpointStatus"] == "Updating"
        hosting.wait_for("InService")
        until(lambda: len([c for c in hosting.runtime.containers if not c.poll()]) == 2, "the old fleet's end")
        stop.set()
        asking.join()
        assert failures == []
        assert hosting.describe()["EndpointConfigName"] == "next"
        assert old not in {hosting.container_of() for _ in range(4)}


def test_an_update_that_fails_leaves_the_old_fleet_in_service(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        old = hosting.container_of()
        hosting.model("sick", image("dies"))
        hosting.config("next", {"ModelName": "sick"})
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
            hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        hosting.wait_for("InService")
        assert "exit code 3" in hosting.describe()["FailureReason"]
        assert hosting.describe()["EndpointConfigName"] == "config"
        assert hosting.container_of() == old
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"})
        hosting.wait_for("InService")
        assert "FailureReason" not in hosting.describe()


def test_an_update_needs_the_configuration_that_the_endpoint_has(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.config("next")
        hosting.configs.delete_endpoint_config(SCOPE, {"EndpointConfigName": "config"})
        update = {"EndpointName": "end", "EndpointConfigName": "next"}
        with pytest.raises(ApiError) as caught:
            hosting.endpoints.update_endpoint(SCOPE, update)
        assert caught.value.message == (
            'Could not find endpoint configuration "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/config".'
        )
        assert hosting.status() == "InService"
        hosting.config("config")
        hosting.endpoints.update_endpoint(SCOPE, update)
        hosting.wait_for("InService")


def test_a_failed_endpoint_is_said_to_be_failed(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.aws.objects["s3://bucket/broken"] = b"no archive"
        hosting.model("model", ModelDataUrl="s3://bucket/broken")
        hosting.config("config")
        hosting.create()
        hosting.wait_for("Failed")
        with pytest.raises(ApiError, match=f'Cannot update endpoint "{ARN}": it is Failed'):
            hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "config"})


def test_an_endpoint_that_is_updated_is_not_deleted(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.model("slow", image("mute"))
        hosting.config("next", {"ModelName": "slow"})
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        until(lambda: len(hosting.runtime.started) == 2, "the second fleet")
        with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert hosting.status() == "Updating"
        assert hosting.ask()["Body"]
    assert all(c.poll() for c in hosting.runtime.containers)


def test_what_is_on_its_way_is_described_beside_what_serves(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.model("slow", image("mute"))
        hosting.config("next", {"ModelName": "slow", "InitialInstanceCount": 2, "InstanceType": "ml.m5.xlarge"})
        hosting.endpoints.update_endpoint(SCOPE, {"EndpointName": "end", "EndpointConfigName": "next"})
        until(lambda: "PendingDeploymentSummary" in hosting.describe(), "the second fleet")
        described = hosting.describe()
        pending = described["PendingDeploymentSummary"]
        assert (described["EndpointConfigName"], pending["EndpointConfigName"]) == ("config", "next")
        (serving,), (coming,) = described["ProductionVariants"], pending["ProductionVariants"]
        assert (serving["CurrentInstanceCount"], serving["DesiredInstanceCount"]) == (1, 1)
        assert (coming["CurrentInstanceCount"], coming["DesiredInstanceCount"]) == (0, 2)
        assert coming["InstanceType"] == "ml.m5.xlarge"
        assert coming["VariantStatus"][0]["StatusMessage"] == "Launching 2 instance(s)."


def test_model_data_that_takes_too_long_fails_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()

    def download(_scope: object, _uri: str, _path: Path, *, cancelled: Callable[[], bool]) -> None:
        while not cancelled():
            clock.now += 30

    with hosting_environment(tmp_path, clock) as hosting:
        hosting.model("model")
        hosting.config("config", {"ModelDataDownloadTimeoutInSeconds": 60})
        monkeypatch.setattr(hosting.aws, "download_file", download)
        hosting.create()
        hosting.wait_for("Failed")
        sentence = f"Failed to download model data from {DATA} within 60 s (ModelDataDownloadTimeoutInSeconds)."
        assert hosting.describe()["FailureReason"] == sentence
        assert hosting.runtime.started == []
        assert hosting.left() == []


def test_model_data_of_several_instances_is_fetched_once(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.aws.objects |= {"s3://b/m/a": b"1", "s3://b/m/d/e": b"2"}
        source = {"S3Uri": "s3://b/m/", "S3DataType": "S3Prefix", "CompressionType": "None"}
        hosting.model("model", ModelDataUrl="", ModelDataSource={"S3DataSource": source})
        hosting.config("config", {"InitialInstanceCount": 3})
        hosting.create()
        hosting.wait_for("InService")
        assert hosting.aws.downloaded == ["s3://b/m/"]
        assert [lines[1] for lines in hosting.logs.lines.values()] == ["serving ['a', 'd']"] * 3
        assert len({(path / "model" / "a").stat().st_ino for path in bases(hosting)}) == 3


def bases(hosting: HostingEnvironment) -> list[Path]:
    return [spec.base_dir for spec in hosting.runtime.started if spec.base_dir]


@pytest.mark.parametrize(("form", "expected"), [("S3Prefix", ["a", "d"]), ("S3Object", ["a"])])
def test_model_data_that_is_not_packed(tmp_path: Path, form: str, expected: list[str]) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.aws.objects |= {"s3://b/m/a": b"1", "s3://b/m/d/e": b"2"}
        uri = "s3://b/m/" if form == "S3Prefix" else "s3://b/m/a"
        data = {"S3DataSource": {"S3Uri": uri, "S3DataType": form, "CompressionType": "None"}}
        hosting.models.create_model(
            SCOPE,
            {
                "ModelName": "model",
                "PrimaryContainer": {"Image": IMAGE, "ModelDataSource": data},
                "ExecutionRoleArn": ROLE,
            },
        )
        hosting.config("config")
        hosting.create()
        hosting.wait_for("InService")
        assert next(iter(hosting.logs.lines.values()))[1] == f"serving {expected}"


def test_after_close_nothing_is_created(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.deploy()
        hosting.supervisor.close()
        assert all(c.poll() for c in hosting.runtime.containers)
        with pytest.raises(ApiError) as error:
            hosting.create("other")
        assert (error.value.code, error.value.status) == ("ServiceUnavailable", 503)


def test_an_unforeseen_error_fails_the_endpoint_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        hosting.config("config")
        monkeypatch.setattr(hosting.aws, "download_file", broken)
        hosting.create()
        hosting.wait_for("Failed")
        assert hosting.describe()["FailureReason"] == "Request to service failed: RuntimeError: unforeseen"


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("unforeseen")
