"""Rollouts, and what goes wrong under load, with fleets of real containers: the count of the calls adds up."""

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from tests.contract.docker_environment import client
from tests.contract.docker_hosting import SERVER, DockerHosting, docker_hosting
from tests.unit.plugin.fakes import SCOPE
from tests.unit.plugin.hosting.bakes import bake_to_the_end, wait_for_bake
from tests.unit.plugin.hosting.deployments import alarms, blue_green, percent, rolling
from tests.unit.plugin.hosting_environment import Load, until

CALLERS = 8
HALF = percent(50)
CANARY = blue_green("CANARY", HALF, wait_s=60)
# Two calls at once, each of 0.05 s; more are refused at once.
SMALL = """
places = threading.Semaphore(2)
def call(handler):
    if not places.acquire(blocking=False):
        handler.status = 503
        return
    handler.status = 200
    time.sleep(0.05)
    places.release()
"""


@pytest.fixture(scope="module")
def fleet(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerHosting]:
    """With an endpoint of two containers in service; a rollout leaves two, be they the same or new ones."""
    with docker_hosting(docker_image, tmp_path_factory.mktemp("fleet")) as made:
        made.serve(InitialInstanceCount=2)
        made.wait_for("InService")
        yield made


@pytest.fixture
def hosting(docker_image: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[DockerHosting]:
    """With an endpoint of its own to be made."""
    with docker_hosting(docker_image, tmp_path) as made:
        yield made
    caplog.get_records("call").clear()  # they hold errors, and so the sockets that could not connect
    gc.collect()


def names(hosting: DockerHosting) -> list[str]:
    """The containers that there are, by the engine's names."""
    return [name.removeprefix("/") for name in hosting.engine.left()]


def ids(hosting: DockerHosting) -> set[str]:
    """The containers that there are, by the ids with which they answer."""
    with closing(client()) as engine:
        return {engine.inspect_container(name)["Config"]["Hostname"] for name in names(hosting)}


def configure(hosting: DockerHosting, name: str, **environment: str) -> None:
    """A configuration of two instances, whose containers have these variables."""
    hosting.model(name, hosting.engine.image, Environment={"SOURCE": SERVER, "PING": "", **environment})
    variant = {"ModelName": name, "InitialInstanceCount": 2, "ContainerStartupHealthCheckTimeoutInSeconds": 60}
    hosting.config(name, variant)


def policy(hosting: DockerHosting) -> dict[str, Any]:
    """A canary with an alarm that is quiet still."""
    hosting.aws.alarms = {"errors": "OK"}
    return {**CANARY, **alarms("errors")}


def roll_back(hosting: DockerHosting) -> None:
    """The alarm goes into ALARM; until the old fleet serves alone."""
    hosting.aws.alarms["errors"] = "ALARM"
    hosting.clock.now += 5
    hosting.wait_for("InService")
    assert hosting.describe()["FailureReason"] == "One or more configured alarm(s) went into ALARM: errors."
    until(lambda: len(hosting.engine.left()) == 2, "the end of the new containers")


def check_that_only_these_answer(load: Load, containers: set[str]) -> None:
    """From now on, and no call fails but those that the callers have sent already: one each."""
    answered, failed = len(load.answered), len(load.failed)
    load.wait_for_more(10 * CALLERS)
    assert sum(name not in containers for name in load.answered[answered:]) <= CALLERS
    assert len(load.failed) <= failed + CALLERS


@pytest.mark.parametrize("kind", ["canary", "rolling"])
def test_a_rollout_of_containers_loses_no_call(fleet: DockerHosting, kind: str) -> None:
    old = ids(fleet)
    configure(fleet, kind)
    with fleet.load(CALLERS, b"work") as load:
        load.wait_for_more(10 * CALLERS)
        fleet.update(kind, CANARY if kind == "canary" else rolling(HALF, wait_s=60))
        wait_for_bake(fleet)
        load.wait_for_more(10 * CALLERS)
        for change in (
            lambda: fleet.update("config"),
            lambda: fleet.scale(DesiredInstanceCount=3),
            lambda: fleet.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"}),
        ):
            with pytest.raises(ApiError, match="Cannot update in-progress endpoint"):
                change()
        bake_to_the_end(fleet, fleet.clock)
        new = ids(fleet)
        check_that_only_these_answer(load, new)
    assert load.failed == []
    assert load.sent == len(load.answered)
    assert (len(new), new & old) == (2, set())
    assert set(load.answered) == old | new


def test_a_new_image_that_fails_its_ping_gets_no_call(fleet: DockerHosting) -> None:
    old = ids(fleet)
    former = fleet.describe()["EndpointConfigName"]
    configure(fleet, "ill", PING="print('ill'); self.status = 500")
    with fleet.load(CALLERS, b"work") as load:
        fleet.update("ill", policy(fleet))
        fleet.wait_for_line("ill")
        load.wait_for_more(10 * CALLERS)
        fleet.clock.now += 61
        fleet.wait_for("InService")
        check_that_only_these_answer(load, old)
    assert load.failed == []
    assert set(load.answered) == old
    described = fleet.describe()
    assert described["EndpointConfigName"] == former
    assert "did not answer GET /ping with 200 within 60 s" in described["FailureReason"]


def test_a_new_image_that_answers_errors_is_rolled_back(fleet: DockerHosting) -> None:
    old = ids(fleet)
    configure(fleet, "errors", CALL="self.status = 500")
    with fleet.load(CALLERS, b"work") as load:
        fleet.update("errors", policy(fleet))
        wait_for_bake(fleet)
        until(lambda: len(load.failed) > CALLERS, "errors")
        roll_back(fleet)
        check_that_only_these_answer(load, old)
    assert {(error.code, error.members["OriginalStatusCode"]) for error in load.failed} == {("ModelError", 500)}
    assert load.sent == len(load.answered) + len(load.failed)
    assert set(load.answered) == old


def test_a_new_image_that_is_slow_is_rolled_back_and_answers_what_it_has(fleet: DockerHosting) -> None:
    old = ids(fleet)
    configure(fleet, "slow", CALL="print('slow'); time.sleep(2)")
    with fleet.load(CALLERS, b"work") as load:
        fleet.update("slow", policy(fleet))
        wait_for_bake(fleet)
        fleet.wait_for_line("slow")
        roll_back(fleet)
        check_that_only_these_answer(load, old)
    assert load.failed == []
    assert load.sent == len(load.answered)
    assert not set(load.answered) <= old


def test_a_new_image_that_leaks_memory_is_rolled_back(fleet: DockerHosting) -> None:
    """Calls that a container held when the kernel ended it fail; it is started again until the alarm."""
    old = ids(fleet)
    before = names(fleet)
    configure(
        fleet,
        "leak",
        PING="self.status = 200 if os.path.exists('/tmp/ready') else 503",
        CALL="Handler.leaked.append(os.urandom(24 << 20) if len(Handler.leaked) < 10 else b'')",
    )
    with fleet.load(CALLERS, b"work") as load:
        fleet.update("leak", policy(fleet))
        until(lambda: len(names(fleet)) == 4, "the new containers")
        with closing(client()) as engine:
            for name in set(names(fleet)) - set(before):
                until(lambda name=name: engine.inspect_container(name)["State"]["Running"], "its start")  # type: ignore[misc]
                engine.update_container(name, mem_limit=96 << 20, memswap_limit=96 << 20)
                engine.exec_start(engine.exec_create(name, ["touch", "/tmp/ready"])["Id"])
        fleet.wait_for_line("It ran out of memory")
        until(lambda: len(load.failed) > 0, "calls that it held")
        roll_back(fleet)
        check_that_only_these_answer(load, old)
    assert {error.code for error in load.failed} == {"ModelError"}
    assert load.sent == len(load.answered) + len(load.failed)


def test_long_calls_are_answered_while_the_fleet_shrinks_and_when_the_endpoint_is_deleted(
    hosting: DockerHosting,
) -> None:
    hosting.serve(InitialInstanceCount=3)
    hosting.wait_for("InService")
    with hosting.load(CALLERS, b"long") as load:
        load.wait_for_more(CALLERS)
        before = len(load.answered)
        hosting.scale(DesiredInstanceCount=1)
        hosting.wait_for("InService")
        load.wait_for_more(CALLERS)
        assert len(set(load.answered[:before])) == 3
        assert (load.failed, len(names(hosting))) == ([], 1)
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        failed = len(load.failed)
        until(lambda: len(load.failed) > failed + CALLERS, "calls that find no endpoint")
    assert load.sent == len(load.answered) + len(load.failed)
    # No call that a container had fails.
    assert {error.code for error in load.failed} <= {"ValidationError", "ServiceUnavailable"}
    assert names(hosting) == []


def test_ten_times_what_a_fleet_can_take_is_refused_and_the_rest_answered(hosting: DockerHosting) -> None:
    source = SERVER.replace("class Handler", f"{SMALL}\nclass Handler", 1)
    environment = {"SOURCE": source, "PING": "", "CALL": "call(self)"}
    hosting.model("model", hosting.engine.image, Environment=environment)
    hosting.config("config", {"InitialInstanceCount": 2})
    hosting.create()
    hosting.wait_for("InService")
    with hosting.load(40, b"hello") as load:  # it has place for four
        load.wait_for_more(100)
        until(lambda: len(load.failed) > 100, "calls that are refused")
        served = set(load.answered)
        load.wait_for_more(100)
    assert served == ids(hosting)
    assert {(error.code, error.members["OriginalStatusCode"]) for error in load.failed} == {("ModelError", 503)}
    assert load.sent == len(load.answered) + len(load.failed)
    assert (hosting.status(), hosting.current()) == ("InService", 2)


def test_a_container_that_is_killed_breaks_its_own_streams_only(hosting: DockerHosting) -> None:
    hosting.serve(InitialInstanceCount=2)
    hosting.wait_for("InService")
    request = {"EndpointName": "end", "Body": b"stream"}
    with hosting.load(CALLERS, b"work") as load:
        streams = [
            hosting.streams.invoke_endpoint_with_response_stream(SCOPE, request)["Body"] for _ in range(2 * CALLERS)
        ]
        assert [next(stream) for stream in streams] == [{"PayloadPart": {"Bytes": b"first"}}] * len(streams)
        with closing(client()) as engine:
            engine.kill(names(hosting)[0])
        until(lambda: hosting.current() == 1, "its death is seen")
        load.wait_for_more(10 * CALLERS)
        hosting.ask(b"go on")
        with ThreadPoolExecutor(len(streams)) as pool:
            ends = [event for events in pool.map(list, streams) for event in events]  # type: ignore[var-annotated]
        for stream in streams:
            stream.close()
    broken = [event["ModelStreamError"]["ErrorCode"] for event in ends if "ModelStreamError" in event]
    whole = [event for event in ends if event == {"PayloadPart": {"Bytes": b"last"}}]
    assert set(broken) == {"StreamBroken"}
    assert len(broken) + len(whole) == len(streams)
    assert len(broken) < len(streams)
    assert len(load.failed) <= CALLERS
    assert {error.code for error in load.failed} <= {"ModelError"}
    assert load.sent == len(load.answered) + len(load.failed)
