"""Instances of the EC2 host: launched where AWS has room, found by their tags, and ended."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import patience, wait
from infra.ec2 import instances
from infra.ec2.tries import tries
from infra.errors import StepFailed
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.ec2.host_machine import INSTANCE
from tests.unit.infra.ec2.hosts import described, instance
from tests.unit.infra.fakes import FakeClient, fake_clients, missing

ZONES = {"subnet-a": "us-east-1a", "subnet-b": "us-east-1b"}
SPOT = tries("spot", ZONES, ZONES.values())
LAUNCHED = {"Instances": [{"InstanceId": INSTANCE}]}


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was waited for; nothing really is."""
    told = list[str]()
    for module in wait, patience:
        monkeypatch.setattr(module, "pause", lambda _seconds, reason: told.append(reason))
    return told


def refused(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "RunInstances")


def launched(*answers: Any, has_profile: bool = True) -> tuple[FakeClient, list[str], str]:
    """The calls to EC2, what was said, and the id of the instance, by EC2's answers to RunInstances."""
    client, said = FakeClient({"run_instances": list(answers)}), list[str]()
    iam = FakeClient({"get_instance_profile": {"InstanceProfile": {}} if has_profile else missing("NoSuchEntity")})
    made = instances.launch(
        fake_clients(ec2=client, iam=iam), "dogs-host", "dogs-ec2", "g5.xlarge", SPOT, "run-0", said.append
    )
    return client, said, made


def test_a_launch_that_aws_takes_is_of_the_default_version_in_the_first_subnet() -> None:
    client, said, made = launched(LAUNCHED)
    ((_, request),) = client.calls
    assert (made, said) == (INSTANCE, [])
    assert request["LaunchTemplate"] == {"LaunchTemplateName": "dogs-host", "Version": "$Default"}
    assert (request["SubnetId"], request["MinCount"], request["MaxCount"]) == ("subnet-a", 1, 1)
    check("ec2", "RunInstances", request)


def test_a_spot_instance_is_asked_for_once_and_is_terminated_when_aws_takes_it() -> None:
    client, _, _ = launched(LAUNCHED)
    options = client.calls[0][1]["InstanceMarketOptions"]
    assert options["MarketType"] == "spot"
    assert options["SpotOptions"] == {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}


def test_each_refusal_is_said_with_its_reason_and_what_is_tried_next() -> None:
    client, said, made = launched(
        refused("InsufficientInstanceCapacity"), refused("MaxSpotInstanceCountExceeded"), LAUNCHED
    )
    assert made == INSTANCE
    assert said == [
        "AWS has not a spot instance in us-east-1a: the zone has no capacity of this type now "
        "(InsufficientInstanceCapacity). Next: a spot instance in us-east-1b.",
        "AWS has not a spot instance in us-east-1b: the account's quota of spot vCPUs of this family is used up, or 0 "
        "(MaxSpotInstanceCountExceeded). Next: an instance on demand in us-east-1a.",
    ]
    requests = [request for _, request in client.calls]
    assert [("InstanceMarketOptions" in one, one["SubnetId"]) for one in requests] == [
        (True, "subnet-a"), (True, "subnet-b"), (False, "subnet-a"),
    ]  # fmt: skip
    assert len({one["ClientToken"] for one in requests}) == 3, "AWS answers a token that it has seen as before"


def test_where_every_try_is_refused_all_reasons_and_other_types_are_told() -> None:
    with pytest.raises(StepFailed, match=r"AWS launches no g5\.xlarge now") as failed:
        launched(refused("MaxSpotInstanceCountExceeded"), refused("VcpuLimitExceeded"))
    assert [line.rpartition("(")[2] for line in failed.value.evidence[:2]] == [
        "MaxSpotInstanceCountExceeded)", "VcpuLimitExceeded)",
    ]  # fmt: skip
    assert len(failed.value.evidence) == 4, "and a command for each quota"


def test_what_no_other_try_would_mend_is_raised_at_once() -> None:
    client = FakeClient({"run_instances": refused("UnauthorizedOperation")})
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        instances.launch(fake_clients(ec2=client), "dogs-host", "dogs-ec2", "g5.xlarge", SPOT, "run-0", print)
    assert len(client.calls) == 1


def test_a_new_instance_profile_is_waited_for(pauses: list[str]) -> None:
    unknown = refused("InvalidParameterValue", "Value (dogs-ec2) for parameter iamInstanceProfile.name is invalid.")
    client, _, made = launched(unknown, unknown, LAUNCHED)
    assert made == INSTANCE
    assert pauses == ["EC2 to know the new instance profile"] * 2
    assert len({request["ClientToken"] for _, request in client.calls}) == 1
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        launched(refused("InvalidParameterValue", "Value (x) for parameter imageId is invalid."))


@pytest.mark.parametrize(("limit", "has_profile"), [("_PROFILE_LIMIT_S", True), ("GONE_S", False)])
def test_a_profile_that_never_comes_is_given_up_and_one_that_was_deleted_sooner(
    limit: str, has_profile: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instances if has_profile else patience, limit, 0.0)
    unknown = refused("InvalidParameterValue", "Value (dogs-ec2) for parameter iamInstanceProfile.name is invalid.")
    with pytest.raises(StepFailed, match=r"EC2 does not know the instance profile dogs-ec2: Value \(dogs-ec2\)"):
        launched(unknown, has_profile=has_profile)


def test_the_project_s_hosts_are_those_with_its_tag_and_that_of_a_run() -> None:
    client = FakeClient({"describe_instances": described(instance("running"), instance("pending"))})
    assert len(list(instances.of_project(client, "dogs", instances.WORKING))) == 2
    filters = {one["Name"]: one["Values"] for one in client.calls[0][1]["Filters"]}
    assert filters == {
        "tag:stagemaker:project": ["dogs"],
        "tag-key": ["stagemaker:run"],
        "instance-state-name": ["pending", "running"],
    }
    assert instances.tag(instance("running", run="dogs-1"), "stagemaker:run") == "dogs-1"
    assert instances.tag({}, "stagemaker:run") == ""


def test_an_instance_that_ec2_does_not_know_is_none_and_other_errors_are_raised() -> None:
    assert instances.describe(FakeClient({"describe_instances": missing("InvalidInstanceID.NotFound")}), "i-1") is None
    assert instances.describe(FakeClient({"describe_instances": {"Reservations": []}}), "i-1") is None
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        instances.describe(FakeClient({"describe_instances": refused("RequestLimitExceeded")}), "i-1")


def test_an_end_is_waited_for() -> None:
    states = [described(instance(state)) for state in ("shutting-down", "shutting-down", "terminated")]
    client = FakeClient({"describe_instances": states})
    instances.end(fake_clients(ec2=client), INSTANCE)
    assert client.names() == ["terminate_instances", *["describe_instances"] * 3]


def test_an_end_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_END_LIMIT_S", 0.0)
    client = FakeClient({"describe_instances": described(instance("shutting-down"))})
    with pytest.raises(StepFailed, match=f"The EC2 host {INSTANCE} is not terminated after 0 s"):
        instances.end(fake_clients(ec2=client), INSTANCE)


@pytest.mark.parametrize(("state", "is_there"), [("running", True), ("stopped", True), ("terminated", False)])
def test_a_host_is_there_until_it_is_terminated(state: str, is_there: bool) -> None:
    clients = fake_clients(ec2=FakeClient({"describe_instances": described(instance(state))}))
    assert (instances.Ec2Host(clients, INSTANCE).read() is not None) == is_there
