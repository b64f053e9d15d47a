from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import patience
from infra.errors import StepFailed
from infra.resources.endpoint import Endpoint, EndpointConfiguration
from infra.resources.model import Model
from tests.unit.infra.fakes import FakeClient, fake_clients, missing


def described(status: str, configuration: str = "new", **more: str) -> dict[str, str]:
    """DescribeEndpoint's answer."""
    return {"EndpointStatus": status, "EndpointConfigName": configuration, **more}


def endpoint(*answers: Any) -> tuple[FakeClient, Endpoint]:
    configuration = {"ProductionVariants": [{"InstanceType": "ml.m5.large"}]}
    client = FakeClient({"describe_endpoint": list(answers), "describe_endpoint_config": configuration})
    logs = FakeClient({"describe_log_streams": missing("ResourceNotFoundException")})
    return client, Endpoint(fake_clients(sagemaker=client, logs=logs), "dogs", "new")


def calls(client: FakeClient) -> list[str]:
    """The operations that change something."""
    return [name for name in client.names() if not name.startswith("describe")]


def test_none() -> None:
    assert endpoint(missing())[1].read() is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (described("InService"), []),
        (described("InService", "old"), ["EndpointConfigName: old -> new"]),
        (described("Creating"), ["EndpointStatus: Creating -> InService"]),
        (described("OutOfService"), ["EndpointStatus: OutOfService -> InService"]),
        (described("Failed", "old"), ["EndpointStatus: Failed -> InService"]),
    ],
)
def test_what_differs(state: dict[str, str], words: list[str]) -> None:
    assert [str(change) for change in endpoint()[1].diff(state)] == words


def test_only_a_failed_one_is_replaced() -> None:
    _, one = endpoint()
    assert [change.replaces for change in one.diff(described("Failed"))] == [True]
    assert not any(change.replaces for change in one.diff(described("Creating", "old")))


def test_a_new_one_is_waited_for() -> None:
    client, one = endpoint(described("Creating"), described("InService"))
    assert one.create() == "configuration new"
    assert calls(client) == ["create_endpoint"]


@pytest.mark.parametrize("status", ["InService", "UpdateRollbackFailed"])
def test_it_moves_to_its_configuration(status: str) -> None:
    state = described(status, "old")
    client, one = endpoint(state, described("Updating", "old"), described("InService"))
    one.update(state, one.diff(state))
    assert calls(client) == ["update_endpoint"]


def test_one_in_change_is_waited_for_and_then_moved() -> None:
    state = described("Creating", "old")
    client, one = endpoint(state, described("InService", "old"), described("InService"))
    one.update(state, one.diff(state))
    assert calls(client) == ["update_endpoint"]


def test_one_whose_creation_fails_meanwhile_is_made_anew() -> None:
    state = described("Creating")
    client, one = endpoint(described("Failed"), described("Failed"), missing(), described("InService"))
    one.update(state, one.diff(state))
    assert calls(client) == ["delete_endpoint", "create_endpoint"]


def test_a_failure_says_its_reason() -> None:
    _, one = endpoint(described("Failed", FailureReason="no instances"))
    with pytest.raises(StepFailed, match="is Failed: no instances"):
        one.create()


def test_an_update_that_was_rolled_back_is_a_failure() -> None:
    state = described("InService", "old")
    _, one = endpoint(state)
    with pytest.raises(StepFailed, match="is InService: no reason was given"):
        one.update(state, one.diff(state))


def test_it_is_deleted_at_rest_and_waited_for() -> None:
    client, one = endpoint(described("Creating"), described("InService"), described("Deleting"), missing())
    one.delete()
    assert client.names() == ["describe_endpoint"] * 2 + ["delete_endpoint"] + ["describe_endpoint"] * 2


def test_one_that_begins_to_change_meanwhile_is_deleted_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_S", 0.0)
    client, one = endpoint(described("InService"), missing())
    busy = {"Code": "ValidationException", "Message": 'Cannot update in-progress endpoint "arn".'}
    client.answers["delete_endpoint"] = [ClientError({"Error": busy}, "DeleteEndpoint"), {}]
    one.delete()
    assert calls(client) == ["delete_endpoint"] * 2


def test_one_that_somebody_deletes_is_waited_for() -> None:
    client, one = endpoint(described("Deleting"), described("Deleting"), missing())
    assert [change.replaces for change in one.diff(described("Deleting"))] == [True]
    one.delete()
    assert calls(client) == []


def test_a_quota_that_is_used_up_is_named_with_the_types_that_would_do() -> None:
    client, one = endpoint(missing())
    client.answers["describe_endpoint_config"] = {"ProductionVariants": [{"InstanceType": "ml.g5.xlarge"}]}
    message = "The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances, with more."
    error = {"Code": "ResourceLimitExceeded", "Message": message}
    client.answers["create_endpoint"] = ClientError({"Error": error}, "CreateEndpoint")
    with pytest.raises(StepFailed, match="L-1928E07B") as caught:
        one.create()
    assert "ml.g6.xlarge" in caught.value.next_step


def test_models_and_configurations_are_as_wanted_when_they_are_there() -> None:
    client = FakeClient()
    model, configuration = (
        Model(fake_clients(sagemaker=client), {"ModelName": "one", "ExecutionRoleArn": "role/x"}),
        EndpointConfiguration(client, {"EndpointConfigName": "two"}),
    )
    assert model.diff({}) == configuration.diff({}) == []
    for one in (model, configuration):
        one.create()
        one.delete()
    assert client.names() == ["create_model", "delete_model", "create_endpoint_config", "delete_endpoint_config"]


def test_an_endpoint_that_is_deleted_before_it_is_in_service_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    _, one = endpoint(described("Creating"), missing())
    with pytest.raises(StepFailed, match="The endpoint dogs was deleted meanwhile"):
        one.create()
