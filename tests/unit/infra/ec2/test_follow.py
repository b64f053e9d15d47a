"""A host is followed to its end, however it ends, and its log is shown."""

import base64
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra import wait
from infra.ec2 import follow
from infra.ec2.outcome import Result
from infra.errors import StepFailed
from tests.unit.infra.ec2.host_machine import INSTANCE, RUN
from tests.unit.infra.ec2.hosts import LOG, RESULT, described, instance, result, s3
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

GONE = missing("InvalidInstanceID.NotFound")


class Hours:
    """A clock that only waits move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def pause(self, seconds: float, reason: str) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def hours(monkeypatch: pytest.MonkeyPatch) -> Hours:
    made = Hours()
    monkeypatch.setattr(wait, "pause", made.pause)
    monkeypatch.setattr(follow, "time", made)
    return made


def ec2(*states: Any, console: str = "", then: Callable[[str], None] = lambda _: None) -> FakeClient:
    """EC2 in which the instance is in one state after another, the last of which stays; `then` is called before a state
    is told. Once it is to be terminated it is."""
    left = list(states)

    def describe(**_: Any) -> dict[str, Any]:
        state = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(state, Exception):
            raise state
        told = instance(state) if isinstance(state, str) else state
        then(told["State"]["Name"])
        return described(instance("terminated") if "terminate_instances" in client.names() else told)

    client = FakeClient({"describe_instances": describe, "get_console_output": {"Output": console}})
    return client


def followed(client: FakeClient, objects: dict[str, bytes]) -> tuple[Result, list[str], list[str]]:
    """The result of the host, what is said, and the lines of its log."""
    said, lines = list[str](), list[str]()
    clients = fake_clients(ec2=client, s3=s3(objects))
    return follow.follow(clients, RUN, INSTANCE, said.append, lines.append), said, lines


def test_a_host_that_trains_is_followed_until_it_shuts_down() -> None:
    objects = dict[str, bytes]()

    def then(state: str) -> None:
        if state == "running":
            objects[LOG] = objects.get(LOG, b"") + b"begins\nep"
        if state == "shutting-down":
            objects[LOG] = objects[LOG] + b"och=1\r\n"
            objects[RESULT] = result()

    found, said, lines = followed(ec2(GONE, "pending", "running", "shutting-down", then=then), objects)
    assert (found.status, found.why, found.training_s) == ("Completed", "", 30)
    assert said == [f"The host {INSTANCE} is {state}." for state in ("pending", "running", "shutting-down")]
    assert lines == ["begins", "epoch=1"]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("Failed", "no photos here"),
        ("Stopped", "The training did not end within 600 s."),
        ("Interrupted", 'It was interrupted: {"action": "terminate"}'),
    ],
)
def test_the_host_says_why_it_did_not_complete(status: str, why: str) -> None:
    objects = {RESULT: result(status), f"{RUN.results}/{INSTANCE}/why": why.encode()}
    found, _, _ = followed(ec2("terminated"), objects)
    assert (found.status, found.why) == (status, why)


def test_a_host_that_somebody_terminates_is_waited_for_until_it_has_sent_its_checkpoint() -> None:
    objects = dict[str, bytes]()

    def then(state: str) -> None:
        if state == "terminated":
            objects.update({RESULT: result("Interrupted"), f"{RUN.results}/{INSTANCE}/why": b"the host was ended"})

    found, _, _ = followed(ec2("running", "shutting-down", "shutting-down", "terminated", then=then), objects)
    assert (found.status, found.why) == ("Interrupted", "the host was ended")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("terminated", "Server.SpotInstanceTermination: Spot instance termination"),
        ("terminated", "Server.InternalError: Internal error on launch"),
        ("stopped", "Client.UserInitiatedShutdown: User initiated shutdown"),
    ],
)
def test_a_host_that_ends_without_a_result_is_told_with_aws_s_reason_and_its_console(state: str, reason: str) -> None:
    console = "\n".join(["boot", *(f"line {number}" for number in range(29)), "host: no space left"])
    with pytest.raises(StepFailed, match=f"ended without a result: {reason}") as failed:
        followed(ec2("pending", instance(state, reason), console=console), {})
    assert failed.value.evidence[-1] == "host: no space left"
    assert len(failed.value.evidence) == 30


def test_a_host_that_ec2_forgets_is_told(hours: Hours) -> None:
    with pytest.raises(StepFailed, match="ended without a result: EC2 does not know it any more"):
        followed(ec2("running", GONE), {})
    assert hours.now < 600


def test_a_host_that_outlives_its_time_is_terminated(hours: Hours) -> None:
    client = ec2("running")
    with pytest.raises(StepFailed, match="ended without a result"):
        followed(client, {})
    assert client.names().count("terminate_instances") == 1
    assert hours.now > RUN.limit_s + 30 * 60, "the host's own timer comes first"


def test_a_host_that_stays_after_its_last_word_is_terminated_and_its_result_counts(hours: Hours) -> None:
    client = ec2("running")
    found, said, _ = followed(client, {RESULT: result()})
    assert found.status == "Completed"
    assert "It has outlived its time, and is terminated." in said
    assert hours.now < RUN.limit_s, "this is found by the result, not by the time to train"


def test_the_console_is_read_as_boto3_gives_it() -> None:
    client = boto3.client("ec2", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    text = base64.b64encode(b"Cloud-init v. 24\n+ failed to pull \xff\n").decode()
    with Stubber(client) as stubber:
        stubber.add_response("get_console_output", {"Output": text}, {"InstanceId": INSTANCE})
        stubber.add_response("get_console_output", {}, {"InstanceId": INSTANCE})
        assert follow.console(client, INSTANCE) == ("Cloud-init v. 24", "+ failed to pull \ufffd")
        assert follow.console(client, INSTANCE) == ()
