"""Instances that stop answering while they serve: hung, refusing, busy, cut off. Real servers of the fake runtime."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import invoke
from stagemaker.hosting.health import HealthTimes
from tests.unit.plugin.fakes import FakeClock
from tests.unit.plugin.hosting_environment import HostingEnvironment, hosting_environment, until

QUICK = HealthTimes(ping_every_s=0.05, answer_s=0.1, request_s=60)
LATE = "it did not answer GET /ping with 200 in time"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def hosting(tmp_path: Path, clock: FakeClock) -> Iterator[HostingEnvironment]:
    with hosting_environment(tmp_path, clock, times=QUICK) as made:
        yield made


def refused(hosting: HostingEnvironment, body: bytes = b"hello") -> ApiError:
    with pytest.raises(ApiError) as error:
        hosting.ask(body)
    return error.value


def test_an_instance_is_asked_as_long_as_it_serves(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    until(lambda: hosting.count_lines('"GET /ping HTTP/1.1" 200') > 5, "some pings")
    assert (hosting.status(), hosting.current(), len(hosting.runtime.started)) == ("InService", 1, 1)


def test_a_hung_instance_is_replaced(hosting: HostingEnvironment, clock: FakeClock) -> None:
    hosting.deploy({"InitialInstanceCount": 2})
    hung = hosting.runtime.started[0].name
    hosting.tell(b"be silent")
    hosting.wait_for_line(LATE + " 3 times in a row; restart 1 of 3")
    assert (hosting.status(), hosting.current()) == ("InService", 1)
    assert hung not in {hosting.container_of() for _ in range(4)}
    clock.now += 1
    until(lambda: hosting.current() == 2, "its return")
    assert hosting.runtime.started[-1].base_dir == hosting.runtime.started[0].base_dir  # the instance is the same
    assert len({hosting.container_of() for _ in range(4)}) == 2
    assert len(hosting.runtime.started) == 3


def test_an_instance_that_refuses_connections_is_replaced_at_once(
    hosting: HostingEnvironment, clock: FakeClock
) -> None:
    hosting.deploy()
    hosting.ask(b"refuse")
    hosting.wait_for_line("its server refuses connections; restart 1 of 3")
    assert refused(hosting).code == "ServiceUnavailable"
    clock.now += 1
    until(lambda: hosting.current() == 1, "its return")
    hosting.ask()


def test_an_instance_with_one_busy_worker_is_not_replaced(hosting: HostingEnvironment) -> None:
    hosting.deploy(Environment={"ONE_WORKER": "1"})
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(hosting.container_of, body=b"work 1")
        until(lambda: hosting.current() == 0, "it is late")
        error = refused(hosting)
        assert (error.code, error.status) == ("ServiceUnavailable", 503)
        assert answer.result() == hosting.runtime.started[0].name
    until(lambda: hosting.current() == 1, "it is on time again")
    assert hosting.container_of() == hosting.runtime.started[0].name
    assert len(hosting.runtime.started) == 1
    assert hosting.count_lines("restart") == 0


def test_an_instance_whose_requests_are_too_old_is_replaced(tmp_path: Path) -> None:
    times = HealthTimes(ping_every_s=0.05, answer_s=0.1, request_s=0.8)
    with hosting_environment(tmp_path, FakeClock(), times=times) as hosting:
        hosting.deploy(Environment={"ONE_WORKER": "1"})
        began = time.monotonic()
        with ThreadPoolExecutor() as pool:
            failed = pool.submit(refused, hosting, b"say nothing")
            until(lambda: hosting.current() == 0, "it is late")
            assert hosting.count_lines(LATE) == 0
            hosting.wait_for_line(LATE)
            assert time.monotonic() - began > 0.8
            assert failed.result().code == "ModelError"  # the container has ended


def test_an_instance_that_is_late_for_a_while_serves_again(hosting: HostingEnvironment) -> None:
    hosting.deploy()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(hosting.container_of, body=b"work 0.9")  # which keeps it from being replaced
        hosting.wait_for_line("got work")
        hosting.ask(b"be silent")
        until(lambda: hosting.current() == 0, "it is late")
        hosting.tell(b"recover")
        until(lambda: hosting.current() == 1, "it is on time again")
        answer.result()
    assert hosting.container_of() == hosting.runtime.started[0].name
    assert len(hosting.runtime.started) == 1


def test_an_instance_that_is_cut_off_under_load_loses_only_what_it_had(
    hosting: HostingEnvironment, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = 6
    monkeypatch.setattr(invoke, "TIMEOUT_S", 1.2)
    hosting.deploy({"InitialInstanceCount": 2})
    with hosting.load(callers) as load:
        load.wait_for_more(20)
        hosting.ask(b"be cut off")
        hosting.wait_for_line(LATE)
        assert hosting.current() == 1
        load.wait_for_more(100)
        clock.now += 1
        until(lambda: hosting.current() == 2, "its return")
        load.wait_for_more(20)
    assert load.sent == len(load.answered) + len(load.failed)
    assert len(load.failed) <= callers
    assert {error.code for error in load.failed} <= {"ModelError"}
    assert len(set(load.answered[-10:])) == 2


def test_pings_do_not_wait_for_each_other(tmp_path: Path) -> None:
    count, times = 8, HealthTimes(ping_every_s=0.05, answer_s=0.25)
    with hosting_environment(tmp_path, FakeClock(), times=times) as hosting:
        hosting.deploy({"InitialInstanceCount": count})
        for number in range(count):
            hosting.tell(b"be silent", number)
        began = time.monotonic()
        until(lambda: hosting.count_lines(LATE) == count, "all have been noticed")
        assert time.monotonic() - began < count * 0.25  # one after the other they need three times as long


def test_an_instance_that_hangs_again_and_again_is_lost(tmp_path: Path) -> None:
    clock, times = FakeClock(), HealthTimes(ping_every_s=0.05, answer_s=0.1, late_answers=1)
    with hosting_environment(tmp_path, clock, times=times) as hosting:
        hosting.deploy()
        for number, delay_s in enumerate((1, 2, 4), start=1):
            hosting.ask(b"be silent")
            hosting.wait_for_line(f"restart {number} of 3")
            clock.now += delay_s
            until(lambda: hosting.current() == 1, "its return")
        hosting.ask(b"be silent")
        hosting.wait_for("Failed")
        reason = f"{LATE} 1 times in a row and was restarted 3 times before"
        assert reason in hosting.describe()["FailureReason"]
