"""The states of instances over a pretended host: what an engine does rarely."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from stagemaker.core.credentials import Credentials
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope
from stagemaker.core.supervisor import Supervisor
from stagemaker.ec2 import instances
from stagemaker.ec2.instances import CONSOLE_BYTES, Console, Instances
from stagemaker.ec2.metadata import Asked, InstanceView
from stagemaker.ec2.states import Reason
from stagemaker.runtime.contract import ContainerSpec, Exit, ImageRefused

SCOPE = Scope("111122223333", "eu-west-1")
PATIENCE_S = 60
DEAF = 10**6
VIEW = InstanceView(
    id="i-1", account=SCOPE.account, region=SCOPE.region, ami_id="ami-1", instance_type="m5.large", zone="eu-west-1a",
    private_ip="10.0.0.5", private_dns="ip-10-0-0-5.example", reservation_id="r-1", state="pending", launched_s=0.0,
)  # fmt: skip


class Record:
    """Of one instance; `told` is each state that it had, with its reason's code."""

    def __init__(self, **more: Any) -> None:
        self.now, self.told = replace(VIEW, **more), list[tuple[str, str]]()

    def view(self) -> InstanceView:
        return self.now

    def enter(self, state: str, reason: Reason) -> None:
        self.now = replace(self.now, state=state)
        self.told.append((state, reason.code))

    def wait(self, state: str) -> list[tuple[str, str]]:
        end = time.monotonic() + PATIENCE_S
        while self.now.state != state:
            assert time.monotonic() < end, self.told
            time.sleep(0.01)
        return self.told


class Host:
    """It is the host and its container at once, and ends when a test says how. It does not hear the first `deaf` times
    that it is to shut down."""

    def __init__(self) -> None:
        self.ended, self.end, self.killed, self.boots, self.deaf = threading.Event(), Exit(0), False, 0, 0
        self.told = threading.Event()

    def boot(self, on_line: Callable[[str], None]) -> "Host":
        self.ended.clear()
        self.boots += 1
        on_line("booted")
        return self

    def shut_down(self) -> None:
        self.told.set()
        self.deaf -= 1
        if self.deaf < 0:
            self.finish(Exit(0))

    def reboot(self) -> None:
        self.boots += 1

    def kill(self) -> None:
        self.killed = True

    def is_gone(self) -> bool:
        return self.killed

    def wait(self, timeout_s: float) -> Exit | None:
        return self.end if self.ended.wait(timeout_s) else None

    def stop(self, grace_s: float) -> Exit:
        if not self.ended.wait(grace_s):
            self.finish(Exit(137))
        return self.end

    def finish(self, end: Exit) -> None:
        self.end = end
        self.ended.set()


class Runtime:
    """Has the one host, or `error` in its place."""

    def __init__(self) -> None:
        self.host, self.specs = Host(), list[ContainerSpec]()
        self.error: ApiError | None = None
        self.image_error: ImageRefused | None = None
        self.making, self.may_make = threading.Event(), threading.Event()
        self.may_make.set()

    def check_image(self, image: str) -> None:
        if self.image_error:
            raise self.image_error

    def create_ec2_host(self, spec: ContainerSpec, addresses: Mapping[str, str]) -> Host:
        self.specs.append(spec)
        self.making.set()
        assert self.may_make.wait(PATIENCE_S)
        if self.error:
            raise self.error
        return self.host


class Roles:
    def instance_credentials(self, scope: Scope, role_arn: str, instance_id: str) -> Credentials:
        raise ApiError("UnauthorizedOperation", "EC2 cannot assume it.", 403)


class Stage:
    """Instances over these."""

    def __init__(self, runtime: object) -> None:
        self.events: list[tuple[str, str]] = []
        self.supervisor = Supervisor()
        self.instances = Instances(
            runtime, Roles(), lambda scope, kind, arn, detail: self.events.append((kind, detail.get("state", ""))),
            time.time, self.supervisor, gateway_url="http://localstack:4566", registry_port=5000, factor=1200,
        )  # fmt: skip


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def stage(runtime: Runtime) -> Iterator[Stage]:
    made = Stage(runtime)
    yield made
    made.supervisor.close()
    assert made.supervisor.threads() == []


def launched(stage: Stage, **more: Any) -> Record:
    record = Record(**more)
    stage.instances.launch(SCOPE, "i-1", record)
    return record


def test_a_shutdown_from_within_stops_the_instance_which_boots_again(stage: Stage, runtime: Runtime) -> None:
    record = launched(stage)
    record.wait("running")
    runtime.host.finish(Exit(0))
    code = "Client.InstanceInitiatedShutdown"
    assert record.wait("stopped") == [("pending", ""), ("running", ""), ("stopping", code), ("stopped", code)]
    assert not runtime.host.is_gone()
    stage.instances.start("i-1")
    record.wait("running")
    stage.instances.terminate("i-1")
    record.wait("terminated")
    assert runtime.host.killed
    assert len(runtime.specs) == 1
    assert ("EC2 Instance State-change Notification", "shutting-down") in stage.events


def test_a_host_that_did_not_hear_that_it_is_to_shut_down_is_told_again(
    stage: Stage, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "_TELL_S", 0.0)
    runtime.host.deaf = 1
    record = launched(stage)
    record.wait("running")
    stage.instances.stop("i-1")
    assert record.wait("stopped")[-1] == ("stopped", "Client.UserInitiatedShutdown")
    assert runtime.host.end == Exit(0), "by itself"


def test_a_host_that_does_not_shut_down_in_time_is_killed(
    stage: Stage, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances, "STOP_S", 0.0)
    runtime.host.deaf = DEAF
    record = launched(stage)
    record.wait("running")
    stage.instances.terminate("i-1")
    assert record.wait("terminated")[-1] == ("terminated", "Client.UserInitiatedShutdown")
    assert runtime.host.end == Exit(137)
    assert runtime.host.killed


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_the_end_of_the_stage_does_not_wait_for_a_host_that_shuts_down(
    stage: Stage, runtime: Runtime, end: str
) -> None:
    runtime.host.deaf = DEAF
    launched(stage).wait("running")
    getattr(stage.instances, end)("i-1")
    assert runtime.host.told.wait(PATIENCE_S)
    stage.supervisor.close()
    assert stage.supervisor.threads() == [], "the runtime, which is closed next, kills the host"


def test_a_host_that_is_made_while_the_stage_ends_does_not_boot(stage: Stage, runtime: Runtime) -> None:
    runtime.may_make.clear()
    launched(stage)
    assert runtime.making.wait(PATIENCE_S)
    closing = threading.Thread(target=stage.supervisor.close)
    closing.start()
    end = time.monotonic() + PATIENCE_S
    while not stage.supervisor.closing:
        assert time.monotonic() < end
        time.sleep(0.01)
    runtime.may_make.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert runtime.host.boots == 0


@pytest.mark.parametrize(
    "end", [Exit(1), Exit(137, "It ran out of memory", out_of_memory=True), Exit(137, "The engine stopped.", lost=True)]
)
def test_a_host_that_ends_without_a_shutdown_is_terminated_with_the_reason(
    stage: Stage, runtime: Runtime, end: Exit
) -> None:
    record = launched(stage)
    record.wait("running")
    runtime.host.finish(end)
    assert record.wait("terminated")[-1] == ("terminated", "Server.InternalError")
    assert runtime.host.killed


def test_an_engine_that_makes_no_host_ends_the_instance(stage: Stage, runtime: Runtime) -> None:
    runtime.error = ApiError("InternalFailure", "Docker cannot make a host.", 500)
    assert launched(stage).wait("terminated")[-1] == ("terminated", "Server.InternalError")


def test_without_a_runtime_of_hosts_or_its_image_nothing_is_launched(runtime: Runtime) -> None:
    with pytest.raises(ApiError, match=r"UnsupportedOperation.*its host is a container"):
        Stage(object()).instances.check()
    runtime.image_error = ImageRefused("There is none.")
    with pytest.raises(ApiError, match=r"UnsupportedOperation.*build the image stagemaker/ec2-host"):
        Stage(runtime).instances.check()


def test_a_host_is_told_by_its_environment_where_the_stage_is(stage: Stage, runtime: Runtime) -> None:
    launched(stage).wait("running")
    environment = runtime.specs[0].environment
    assert environment["AWS_ENDPOINT_URL"] == "http://localstack:4566"
    assert environment["STAGEMAKER_REGISTRIES"] == "111122223333.dkr.ecr.eu-west-1.amazonaws.com,localhost:5000"
    asked = Asked("GET", "/latest/meta-data/instance-id", {})
    assert stage.instances.metadata("i-1", environment["STAGEMAKER_TOKEN"], asked).body == b"i-1"
    assert stage.instances.metadata("i-1", "another", asked).status == 404
    assert stage.instances.metadata("i-2", environment["STAGEMAKER_TOKEN"], asked).status == 404


def test_an_interrupted_spot_instance_is_noticed_and_then_terminated(stage: Stage) -> None:
    record = launched(stage, is_spot=True)
    record.wait("running")
    stage.instances.interrupt("i-1")
    assert ("EC2 Spot Instance Interruption Warning", "") in stage.events
    assert record.wait("terminated")[-1] == ("terminated", "Server.SpotInstanceTermination")


def test_only_a_running_spot_instance_is_interrupted(stage: Stage) -> None:
    launched(stage).wait("running")
    with pytest.raises(ApiError, match="There is no spot instance i-1"):
        stage.instances.interrupt("i-1")
    with pytest.raises(ApiError, match="There is no spot instance i-2"):
        stage.instances.interrupt("i-2")


def test_the_console_keeps_the_last_64_kilobytes() -> None:
    console = Console(lambda: 7.0)
    for number in range(20_000):
        console.add(f"line {number}")
    text, at_s = console.read()
    assert text.endswith("line 19999\r\n")
    assert CONSOLE_BYTES - 100 < len(text.encode()) <= CONSOLE_BYTES
    assert at_s == 7.0
