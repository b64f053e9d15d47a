"""Deployment policies over the fake runtime: real servers, real requests, and a clock that the tests move."""

import threading
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import ENDPOINT
from stagemaker.core.store import Change
from tests.unit.plugin.fakes import SCOPE, FakeClock
from tests.unit.plugin.hosting.bakes import (
    bake_to_the_end,
    message,
    names_running,
    pending,
    running,
    wait_for_bake,
)
from tests.unit.plugin.hosting.deployments import alarms, blue_green, count, percent, rolling
from tests.unit.plugin.hosting_environment import (
    IMAGE,
    HostingEnvironment,
    dies,
    echo_server,
    hosting_environment,
    until,
    until_told,
)

HOUR_S = 3600


def image(name: str) -> str:
    return IMAGE.replace("serve", name)


def deployed(hosting: HostingEnvironment, instances: int = 1) -> None:
    """An endpoint in service, and a second configuration "next" of the same size."""
    hosting.deploy({"InitialInstanceCount": instances})
    hosting.config("next", {"InitialInstanceCount": instances})


def share_of(hosting: HostingEnvironment, names: set[str], requests: int = 40) -> int:
    """How many of so many requests these containers answer."""
    return sum(hosting.container_of() in names for _ in range(requests))


def test_all_at_once_keeps_the_old_fleet_for_the_termination_wait(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        old = names_running(hosting)
        hosting.update("next", blue_green("ALL_AT_ONCE", termination_s=300))
        wait_for_bake(hosting)
        assert message(pending(hosting)) == (
            "Baking for 300 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 1 instance(s)."
        )
        assert pending(hosting)["VariantStatus"][0]["Status"] == "Baking"
        assert (share_of(hosting, old), running(hosting), hosting.status()) == (0, 2, "Updating")
        assert hosting.describe()["EndpointConfigName"] == "config"
        clock.now += 300
        hosting.wait_for("InService")
        assert (running(hosting), hosting.describe()["EndpointConfigName"]) == (1, "next")
        assert "PendingDeploymentSummary" not in hosting.describe()


def test_a_canary_gets_its_share_then_all(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 4)
        old = names_running(hosting)
        hosting.update("next", blue_green("CANARY", percent(25), wait_s=300, termination_s=HOUR_S))
        assert "with traffic enabled on canary capacity of 1 instance(s)" in wait_for_bake(hosting)
        asked = Counter(hosting.container_of() for _ in range(40))
        assert sum(times for name, times in asked.items() if name in old) == 30
        assert len(asked.keys() - old) == 1  # one instance of four
        clock.now += 300
        assert "with traffic enabled on full capacity of 4 instance(s)" in wait_for_bake(hosting)
        asked = Counter(hosting.container_of() for _ in range(40))
        assert len(asked.keys() - old) == 4
        assert asked.keys().isdisjoint(old)
        clock.now += HOUR_S
        hosting.wait_for("InService")
        assert running(hosting) == 4


def test_a_linear_rollout_moves_the_same_part_in_each_step(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        old = names_running(hosting)
        hosting.update("next", blue_green("LINEAR", percent(25), wait_s=60, termination_s=60))
        found = []
        for _ in range(4):
            told = wait_for_bake(hosting)
            found.append((share_of(hosting, old), told.partition(" with ")[0]))
            clock.now += 60
        assert found == [
            (30, "Baking for 60 seconds (WaitIntervalInSeconds)"),
            (20, "Baking for 60 seconds (WaitIntervalInSeconds)"),
            (10, "Baking for 60 seconds (WaitIntervalInSeconds)"),
            (0, "Baking for 60 seconds (TerminationWaitInSeconds)"),
        ]
        hosting.wait_for("InService")


def test_a_rolling_rollout_needs_one_batch_more_than_the_fleet(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 4)
        old = names_running(hosting)
        with hosting.load() as load:
            hosting.update("next", rolling(count(1), wait_s=60))
            for step in range(1, 5):
                wait_for_bake(hosting)
                assert message(pending(hosting)).endswith(
                    f"with traffic enabled on rolling capacity of {step} instance(s)."
                )
                serving = hosting.describe()["ProductionVariants"][0]
                assert (serving["CurrentInstanceCount"], serving["DesiredInstanceCount"]) == (5 - step, 5 - step)
                assert pending(hosting)["CurrentInstanceCount"] == step
                assert pending(hosting)["DesiredInstanceCount"] == 4
                assert running(hosting) == 5
                load.wait_for_more(20)
                clock.now += 60
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        assert load.sent == len(load.answered)
        assert set(load.answered[-20:]).isdisjoint(old)
        assert running(hosting) == 4


def test_old_instances_that_leave_are_described(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting, 2)
        told: list[tuple[str, str]] = []

        def note(change: Change) -> None:
            if change.after and change.after["EndpointStatus"] == "Updating":
                status = hosting.describe()["ProductionVariants"][0]["VariantStatus"][0]
                told.append((status["Status"], status["StatusMessage"]))

        hosting.store.watch(ENDPOINT, note)
        hosting.update("next", rolling(percent(50)))
        hosting.wait_for("InService")
        assert ("Deleting", "Terminating 1 instance(s).") in told


def test_the_endpoint_is_updating_until_nothing_is_left_of_the_old_fleet(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        with hosting.load(callers=1, body=b"work 0.5") as load:
            until(lambda: hosting.count_lines("got work") >= 1, "work")
            hosting.update("next")
            hosting.wait_for("InService")
            assert running(hosting) == 1
        assert load.failed == []


def policy(kind: str, wait_s: int = HOUR_S, limit_s: int | None = None) -> dict[str, Any]:
    """One of each, whose first bake lasts so long."""
    return {
        "all at once": blue_green("ALL_AT_ONCE", termination_s=wait_s, limit_s=limit_s),
        "canary": blue_green("CANARY", percent(50), wait_s=wait_s, limit_s=limit_s),
        "linear": blue_green("LINEAR", percent(50), wait_s=wait_s, limit_s=limit_s),
        "rolling": rolling(percent(50), wait_s=wait_s, limit_s=limit_s),
    }[kind]


POLICIES = pytest.mark.parametrize("kind", ["all at once", "canary", "linear", "rolling"])


@POLICIES
def test_an_alarm_in_a_bake_gives_all_requests_back_without_losing_one(tmp_path: Path, kind: str) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        old = names_running(hosting)
        hosting.aws.alarms = {"calm": "OK", "errors": "INSUFFICIENT_DATA"}
        with hosting.load() as load:
            hosting.update("next", {**policy(kind), **alarms("calm", "errors")})
            wait_for_bake(hosting)
            load.wait_for_more(20)
            hosting.aws.alarms["errors"] = "ALARM"
            clock.now += 5
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        assert load.sent == len(load.answered)
        described = hosting.describe()
        assert described["FailureReason"] == "One or more configured alarm(s) went into ALARM: errors."
        assert described["EndpointConfigName"] == "config"
        assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 2
        assert set(load.answered[-10:]) <= old
        assert names_running(hosting) == old
        assert hosting.statuses[-2:] == ["Updating", "InService"]
        assert hosting.describe()["LastDeploymentConfig"] == {**policy(kind), **alarms("calm", "errors")}


@POLICIES
def test_an_image_that_answers_errors_fails_its_share_until_the_alarm(tmp_path: Path, kind: str) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        hosting.model("wrong", Environment={"STATUS": "500"})
        hosting.config("bad", {"ModelName": "wrong", "InitialInstanceCount": 2})
        with hosting.load() as load:
            hosting.update("bad", {**policy(kind), **alarms_of(hosting)})
            wait_for_bake(hosting)
            until(lambda: len(load.failed) > 4, "errors")
            hosting.aws.alarms["errors"] = "ALARM"
            clock.now += 5
            hosting.wait_for("InService")
            until(lambda: fleets(hosting) == 1, "the old fleet alone")
            seen = len(load.failed)
            load.wait_for_more(40)
        assert len(load.failed) <= seen + 4  # those that the callers had sent before
        assert {error.code for error in load.failed} == {"ModelError"}
        assert load.sent == len(load.answered) + len(load.failed)


def test_a_slow_image_answers_what_it_has_when_it_is_rolled_back(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        old = names_running(hosting)
        hosting.update("next", {**policy("all at once"), **alarms_of(hosting)})
        wait_for_bake(hosting)
        with hosting.load(callers=4, body=b"work 0.5") as load:
            until(lambda: hosting.count_lines("got work") >= 4, "requests on the new fleet")
            hosting.aws.alarms["errors"] = "ALARM"
            clock.now += 5
            hosting.wait_for("InService")
        assert load.failed == []
        assert sum(name not in old for name in load.answered) >= 4
        assert names_running(hosting) == old


def test_alarms_are_asked_every_five_seconds_and_at_the_end_of_a_bake(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        hosting.aws.alarms = {"errors": "OK"}
        hosting.update("next", {**blue_green("ALL_AT_ONCE", termination_s=7), **alarms("errors")})
        for expected, later_s in ((2, 5), (3, 2)):  # once by UpdateEndpoint, whether it is there
            until(lambda n=expected: hosting.aws.alarms_asked == n, "a look")  # type: ignore[misc]
            clock.now += later_s
        hosting.wait_for("InService")
        assert hosting.aws.alarms_asked == 4


def test_a_bake_of_no_time_looks_at_the_alarms_once(tmp_path: Path) -> None:
    with hosting_environment(tmp_path, FakeClock()) as hosting:
        deployed(hosting)
        hosting.aws.alarms = {"errors": "ALARM"}
        hosting.update("next", {**blue_green("ALL_AT_ONCE"), **alarms("errors")})
        hosting.wait_for("InService")
        assert "went into ALARM: errors" in hosting.describe()["FailureReason"]
        assert hosting.describe()["EndpointConfigName"] == "config"


def test_alarms_that_cannot_be_read_end_the_rollout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        hosting.aws.alarms = {"errors": "OK"}
        hosting.update("next", {**blue_green("ALL_AT_ONCE", termination_s=60), **alarms("errors")})
        wait_for_bake(hosting)

        def broken(*_: object) -> None:
            raise ApiError("InternalFailure", "The alarms could not be read: no answer", 500)

        monkeypatch.setattr(hosting.aws, "alarm_states", broken)
        clock.now += 5
        hosting.wait_for("InService")
        assert "The alarms could not be read" in hosting.describe()["FailureReason"]
        assert hosting.describe()["EndpointConfigName"] == "config"


def test_an_alarm_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        with pytest.raises(ApiError, match="Could not find the CloudWatch alarm errors") as error:
            hosting.update("next", alarms("errors"))
        assert error.value.code == "ValidationException"
        assert hosting.status() == "InService"


def slow_next(hosting: HostingEnvironment, instances: int = 1) -> None:
    """A configuration "slow" whose containers never answer /ping, and may take an hour for it."""
    hosting.model("mute", image("mute"))
    variant = {"ModelName": "mute", "InitialInstanceCount": instances}
    hosting.config("slow", {**variant, "ContainerStartupHealthCheckTimeoutInSeconds": HOUR_S})


@POLICIES
def test_the_time_limit_ends_a_rollout(tmp_path: Path, kind: str) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        slow_next(hosting, 2)
        old = names_running(hosting)
        hosting.update("slow", policy(kind, wait_s=60, limit_s=600))
        until(lambda: running(hosting) > 2, "new containers")
        assert message(pending(hosting)) == f"Launching {1 if kind == 'rolling' else 2} instance(s)."
        clock.now += 600
        hosting.wait_for("InService")
        described = hosting.describe()
        assert described["FailureReason"] == "The deployment took longer than MaximumExecutionTimeoutInSeconds."
        assert (described["EndpointConfigName"], names_running(hosting)) == ("config", old)


def test_the_time_limit_in_a_later_batch_brings_the_old_fleet_back(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 4)
        hosting.config("slow", {"InitialInstanceCount": 4, "ContainerStartupHealthCheckTimeoutInSeconds": HOUR_S})
        with hosting.load() as load:
            hosting.update("slow", rolling(percent(50), wait_s=60, limit_s=600))
            wait_for_bake(hosting)
            hosting.runtime.behaviours["serve"] = hosting.runtime.behaviours["mute"]
            clock.now += 60
            until(lambda: len(hosting.runtime.started) == 8, "the second batch")
            hosting.runtime.behaviours["serve"] = echo_server
            clock.now += 540
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        described = hosting.describe()
        assert "MaximumExecutionTimeoutInSeconds" in described["FailureReason"]
        (variant,) = described["ProductionVariants"]
        assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (4, 4)
        assert (running(hosting), described["EndpointConfigName"]) == (4, "config")


@POLICIES
@pytest.mark.parametrize("broken", [{"image": image("dies")}, {"Environment": {"SICK": "1"}}, {"image": image("mute")}])
def test_a_new_image_that_is_never_healthy_loses_no_request(tmp_path: Path, kind: str, broken: dict[str, Any]) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        hosting.model("broken", **broken)
        variant = {"ModelName": "broken", "InitialInstanceCount": 2}
        hosting.config("bad", {**variant, "ContainerStartupHealthCheckTimeoutInSeconds": 60})
        old = names_running(hosting)
        with hosting.load() as load:
            hosting.update("bad", policy(kind))
            until(lambda: len(hosting.runtime.started) > 2, "new containers")
            clock.now += 60
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        assert load.sent == len(load.answered)
        assert set(load.answered) <= old == names_running(hosting)
        assert "did not pass the ping health check" in hosting.describe()["FailureReason"]


@POLICIES
def test_a_new_fleet_that_is_lost_in_a_bake_gives_the_requests_back(tmp_path: Path, kind: str) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        old = names_running(hosting)
        hosting.update("next", policy(kind, wait_s=8 * 60))
        wait_for_bake(hosting)
        del hosting.runtime.behaviours["serve"]  # so that restarts are refused
        for number in range(2, len(hosting.runtime.containers)):
            hosting.tell(b"die", number)
        until(lambda: hosting.count_lines("restart 1 of 3") == len(hosting.runtime.containers) - 2, "their end")
        clock.now += 1
        hosting.wait_for("InService")
        assert "could not be started" in hosting.describe()["FailureReason"]
        assert {hosting.container_of() for _ in range(4)} == old == names_running(hosting)


def test_requests_go_to_the_old_fleet_while_no_canary_is_healthy(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        old = names_running(hosting)
        hosting.update("next", policy("canary"))
        wait_for_bake(hosting)
        for number in (2, 3):
            hosting.tell(b"die", number)
        until(lambda: hosting.count_lines("restart 1 of 3") == 2, "their end")
        assert {hosting.container_of() for _ in range(8)} == old
        clock.now += 1
        until(lambda: not {hosting.container_of() for _ in range(8)} <= old, "the canary again")


@POLICIES
def test_an_old_fleet_that_is_lost_in_a_bake_leaves_the_new_one(tmp_path: Path, kind: str) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 2)
        hosting.update("next", {**policy(kind, wait_s=60), **alarms_of(hosting)})
        wait_for_bake(hosting)
        del hosting.runtime.behaviours["serve"]  # so that restarts are refused
        for number in (0, 1):
            hosting.tell(b"die", number)
        until(lambda: hosting.count_lines("restart 1 of 3") == 2, "their end")
        clock.now += 1
        until(lambda: fleets(hosting) == 1, "the new fleet alone")
        hosting.runtime.behaviours["serve"] = echo_server
        hosting.aws.alarms["errors"] = "ALARM"  # there is nothing to go back to
        bake_to_the_end(hosting, clock)
        assert hosting.describe()["EndpointConfigName"] == "next"
        assert "FailureReason" not in hosting.describe()
        assert running(hosting) == 2


def fleets(hosting: HostingEnvironment) -> int:
    """How many may get requests."""
    router = hosting.endpoints.router(hosting.ref())
    return len(router.shares) if router else 0


def alarms_of(hosting: HostingEnvironment) -> dict[str, Any]:
    """One alarm, which is OK."""
    hosting.aws.alarms = {"errors": "OK"}
    return alarms("errors")


def test_a_new_fleet_that_is_lost_while_the_old_one_ends_fails_the_endpoint(tmp_path: Path) -> None:
    go = threading.Event()
    clock = FakeClock()
    with hosting_environment(tmp_path, clock, clings=until_told(go)) as hosting:
        hosting.model("old", image("clings"))
        hosting.model("model")
        hosting.config("config", {"ModelName": "old"})
        hosting.config("next")
        hosting.create()
        hosting.wait_for("InService")
        hosting.update("next")
        until(lambda: message(hosting.describe()["ProductionVariants"][0]) == "Terminating 1 instance(s).", "the end")
        assert hosting.status() == "Updating"
        assert hosting.container_of() == hosting.runtime.started[1].name
        del hosting.runtime.behaviours["serve"]  # so that the restart is refused
        hosting.ask(b"die")
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 1
        until(lambda: fleets(hosting) == 0, "nobody who serves")
        go.set()
        hosting.wait_for("Failed")
        assert "could not be started" in hosting.describe()["FailureReason"]
        assert (running(hosting), hosting.left()) == (0, [])
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        assert hosting.status() == "gone"


def test_an_old_fleet_that_is_lost_and_ends_late_is_no_failure_of_the_new_one(tmp_path: Path) -> None:
    go = threading.Event()
    clock = FakeClock()
    with hosting_environment(tmp_path, clock, clings=until_told(go)) as hosting:
        hosting.model("model")
        hosting.model("other", image("clings"))
        hosting.config("config", {"VariantName": "a"}, {"VariantName": "b", "ModelName": "other"})
        hosting.config("next", {"VariantName": "a"})
        hosting.create()
        hosting.wait_for("InService")
        hosting.update("next", policy("all at once", wait_s=60))
        wait_for_bake(hosting)
        del hosting.runtime.behaviours["serve"]  # so that the restart is refused
        hosting.tell(b"die", [spec.image for spec in hosting.runtime.started].index(IMAGE))
        hosting.wait_for_line("restart 1 of 3")
        clock.now += 1
        until(lambda: fleets(hosting) == 1, "the new fleet alone")
        clock.now += 60
        go.set()
        until(lambda: hosting.supervisor.threads().count("endpoint end") == 1, "the old fleet's end")
        hosting.wait_for("InService")
        assert "FailureReason" not in hosting.describe()
        assert (running(hosting), hosting.describe()["EndpointConfigName"]) == (1, "next")


def test_a_rolling_rollback_in_batches_keeps_the_capacity(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting, 4)
        sizes: list[tuple[int, int]] = []

        def note(change: Change) -> None:
            own = change.after["Stagemaker"] if change.after else {}
            if "ComingTargets" in own:
                sizes.append((own["Targets"]["AllTraffic"]["Count"], own["ComingTargets"]["AllTraffic"]["Count"]))

        hosting.store.watch(ENDPOINT, note)
        with hosting.load() as load:
            hosting.update("next", {**rolling(count(1), wait_s=60, back=count(1)), **alarms_of(hosting)})
            for _ in range(3):
                wait_for_bake(hosting)
                clock.now += 60
            wait_for_bake(hosting)
            hosting.aws.alarms["errors"] = "ALARM"
            clock.now += 5
            hosting.wait_for("InService")
            load.wait_for_more(20)
        assert load.failed == []
        assert [size for size, _ in groupby(sizes)] == [
            *[(4, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 4)],
            *[(2, 4), (2, 2), (3, 2), (3, 1), (4, 1)],
        ]
        assert (running(hosting), hosting.describe()["EndpointConfigName"]) == (4, "config")


def mixed(hosting: HostingEnvironment, clock: FakeClock) -> None:
    """An endpoint whose rolling rollout failed half way, and whose rollback failed too."""
    deployed(hosting, 4)
    hosting.update("next", {**rolling(count(1), wait_s=60), **alarms_of(hosting)})
    wait_for_bake(hosting)
    clock.now += 60
    wait_for_bake(hosting)
    hosting.runtime.behaviours["serve"] = dies
    hosting.aws.alarms["errors"] = "ALARM"
    clock.now += 5
    hosting.wait_for("UpdateRollbackFailed")
    hosting.runtime.behaviours["serve"] = echo_server


def test_a_rollback_that_fails_leaves_both_fleets_in_service(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        mixed(hosting, clock)
        described = hosting.describe()
        assert "alarm(s) went into ALARM: errors. The rollback failed: " in described["FailureReason"]
        assert "exit code 3" in described["FailureReason"]
        assert (described["EndpointConfigName"], running(hosting)) == ("config", 5)
        (variant,) = described["ProductionVariants"]
        assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (3, 3)
        assert "PendingDeploymentSummary" not in described
        asked = Counter(hosting.container_of() for _ in range(40))
        assert len(asked) == 5
        assert sum(asked[name] for name in first_names(hosting, 4)) == 20
        with pytest.raises(ApiError, match=r"it is UpdateRollbackFailed\. Update it to one configuration") as error:
            hosting.scale(DesiredInstanceCount=4)
        assert error.value.code == "ValidationException"
        hosting.update("next")
        hosting.wait_for("InService")
        assert (running(hosting), hosting.describe()["EndpointConfigName"]) == (4, "next")
        assert "FailureReason" not in hosting.describe()


def first_names(hosting: HostingEnvironment, number: int) -> list[str]:
    """Of the containers that were started first."""
    return [spec.name for spec in hosting.runtime.started[:number]]


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_mix_whose_old_fleet_is_lost_is_the_new_configuration(tmp_path: Path, meanwhile: bool) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        mixed(hosting, clock)
        if meanwhile:  # another update is in its first step
            hosting.config("third", {"VariantName": "other", "InitialInstanceCount": 2})
            hosting.update("third", {**rolling(percent(50), wait_s=60), **alarms_of(hosting)})
            wait_for_bake(hosting)
        del hosting.runtime.behaviours["serve"]  # so that restarts are refused
        for number in range(4):
            if hosting.runtime.containers[number].running:
                hosting.tell(b"die", number)
        until(lambda: hosting.count_lines("restart 1 of 3") == 3, "their end")
        clock.now += 1
        until(lambda: fleets(hosting) == 1 + meanwhile, "their loss")
        hosting.runtime.behaviours["serve"] = echo_server
        if meanwhile:
            hosting.aws.alarms["errors"] = "ALARM"
            clock.now += 60
            hosting.wait_for("InService")
            assert "went into ALARM" in hosting.describe()["FailureReason"]
        else:
            hosting.wait_for("InService")
        described = hosting.describe()
        assert described["EndpointConfigName"] == "next"
        assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 2
        assert len({hosting.container_of() for _ in range(8)}) == 2


def test_an_update_that_fails_leaves_the_mix_as_it_was(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        mixed(hosting, clock)
        hosting.model("dies", image("dies"))
        hosting.config("bad", {"ModelName": "dies"})
        hosting.update("bad")
        hosting.wait_for("UpdateRollbackFailed")
        assert running(hosting) == 5
        assert len({hosting.container_of() for _ in range(40)}) == 5
        hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
        hosting.wait_for("gone")
        assert (running(hosting), hosting.left()) == (0, [])


@POLICIES
def test_an_endpoint_in_a_bake_is_neither_updated_nor_scaled_nor_deleted(tmp_path: Path, kind: str) -> None:
    with hosting_environment(tmp_path, FakeClock()) as hosting:
        deployed(hosting, 2)
        hosting.update("next", policy(kind))
        wait_for_bake(hosting)
        for call in (
            lambda: hosting.update("next"),
            lambda: hosting.scale(DesiredInstanceCount=3),
            lambda: hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"}),
        ):
            with pytest.raises(ApiError, match="Cannot update in-progress endpoint") as error:
                call()
            assert error.value.code == "ValidationException"
        hosting.supervisor.close()
        assert (running(hosting), hosting.left()) == (0, [])


def test_one_instance_can_have_a_canary(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        old = names_running(hosting)
        hosting.update("next", blue_green("CANARY", percent(10), wait_s=60))
        wait_for_bake(hosting)
        assert share_of(hosting, old) == 36
        with pytest.raises(ApiError, match="Cannot update"):
            hosting.update("next")
        clock.now += 60
        hosting.wait_for("InService")


def test_retained_properties_and_what_is_excluded(tmp_path: Path) -> None:
    with hosting_environment(tmp_path) as hosting:
        deployed(hosting)
        hosting.scale(DesiredInstanceCount=2, DesiredWeight=5.0)
        hosting.wait_for("InService")
        for excluded, expected in (
            ([], (2, 5.0)),
            (["DesiredWeight"], (2, 1.0)),
            (["DesiredInstanceCount"], (1, 1.0)),
        ):
            listed = [{"VariantPropertyType": each} for each in excluded]
            hosting.update("next", RetainAllVariantProperties=True, ExcludeRetainedVariantProperties=listed)
            hosting.wait_for("InService")
            (variant,) = hosting.describe()["ProductionVariants"]
            assert (variant["DesiredInstanceCount"], variant["DesiredWeight"]) == expected
            assert variant["CurrentInstanceCount"] == expected[0] == running(hosting)


def test_the_last_deployment_configuration_can_be_used_again(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.model("model")
        hosting.config("config")
        first = {**policy("all at once", 60), **alarms("not there yet")}
        request = {"EndpointName": "end", "EndpointConfigName": "config", "DeploymentConfig": first}
        hosting.endpoints.create_endpoint(SCOPE, request)
        hosting.wait_for("InService")
        assert hosting.describe()["LastDeploymentConfig"] == first
        with pytest.raises(ApiError, match="not there yet"):
            hosting.update("config", RetainDeploymentConfig=True)
        hosting.update("config")
        hosting.wait_for("InService")  # without a bake
        hosting.aws.alarms = {"not there yet": "OK"}
        hosting.update("config", RetainDeploymentConfig=True)
        assert wait_for_bake(hosting).startswith("Baking for 60 seconds (TerminationWait")
        clock.now += 60
        hosting.wait_for("InService")
        with pytest.raises(ApiError, match="Give either DeploymentConfig or RetainDeploymentConfig"):
            hosting.update("config", first, RetainDeploymentConfig=True)


def test_metrics_of_the_new_fleet_carry_its_configuration_while_two_run(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        deployed(hosting)
        hosting.update("next", blue_green("ALL_AT_ONCE", termination_s=60))
        wait_for_bake(hosting)
        common = {"EndpointName": "end", "VariantName": "AllTraffic"}
        hosting.ask()
        assert hosting.logs.points["Invocations"][-2:] == [
            (1.0, common), (1.0, {**common, "EndpointConfigName": "next"}),
        ]  # fmt: skip
        clock.now += 60
        hosting.wait_for("InService")
        asked = len(hosting.logs.points["Invocations"])
        hosting.ask()
        assert hosting.logs.points["Invocations"][asked:] == [(1.0, common)]


def test_a_variant_that_only_one_fleet_has_is_asked_for_there(tmp_path: Path) -> None:
    clock = FakeClock()
    with hosting_environment(tmp_path, clock) as hosting:
        hosting.deploy({"VariantName": "blue"})
        hosting.config("next", {"VariantName": "green"})
        hosting.update("next", blue_green("CANARY", percent(50), wait_s=60))
        wait_for_bake(hosting)
        for variant in ("blue", "green"):
            answered = [hosting.ask(TargetVariant=variant)["InvokedProductionVariant"] for _ in range(4)]
            assert answered == [variant] * 4
        assert Counter(hosting.ask()["InvokedProductionVariant"] for _ in range(10)) == {"blue": 5, "green": 5}


@POLICIES
def test_many_cycles_leave_nothing(tmp_path: Path, kind: str) -> None:
    with hosting_environment(tmp_path) as hosting:
        hosting.model("model")
        for name in ("config", "next"):
            hosting.config(name, {"InitialInstanceCount": 2})
        before = hosting.supervisor.threads()
        for _ in range(4):
            hosting.create()
            hosting.wait_for("InService")
            hosting.update("next", policy(kind, wait_s=0))
            hosting.wait_for("InService")
            hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
            hosting.wait_for("gone")
        until(lambda: hosting.supervisor.threads() == before, "no thread more than before")
        assert (running(hosting), hosting.left()) == (0, [])
