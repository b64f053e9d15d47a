"""The notebook instance and its lifecycle configuration, against AWS's answers."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import engine, ownership
from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.notebook.lifecycle import lifecycle_request
from infra.notebook.requests import instance_request
from infra.notebook.settings import NotebookSettings
from infra.resources import notebook
from infra.resources.notebook import NotebookInstance, NotebookLifecycle, why_not_offered
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing
from tests.unit.infra.stage import saying

BLUEPRINT = Blueprint(DeploymentSettings(project="dogs"), ACCOUNT, "ab" * 32)
SETTINGS = NotebookSettings()
REQUEST = instance_request(BLUEPRINT, SETTINGS)
NONE = missing()  # AWS says RecordNotFound, by ValidationException


def described(status: str = "InService", **changes: Any) -> dict[str, Any]:
    """DescribeNotebookInstance's answer for an instance as wanted, but for the changes."""
    return {
        "NotebookInstanceName": "dogs-notebook",
        "NotebookInstanceArn": "arn:aws:sagemaker:us-east-1:1:notebook-instance/dogs-notebook",
        "NotebookInstanceStatus": status,
        "InstanceType": "ml.t3.medium",
        "RoleArn": REQUEST["RoleArn"],
        "NotebookInstanceLifecycleConfigName": "dogs-notebook",
        "VolumeSizeInGB": 10,
        "RootAccess": "Disabled",
        "DirectInternetAccess": "Enabled",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
        **changes,
    }


def instance(*answers: Any, settings: NotebookSettings = SETTINGS, **more: Any) -> tuple[FakeClient, NotebookInstance]:
    client = FakeClient({"describe_notebook_instance": list(answers), "list_tags": {"Tags": BLUEPRINT.tags}, **more})
    logs = FakeClient({"describe_log_streams": missing("ResourceNotFoundException")})
    clients = fake_clients(sagemaker=client, logs=logs)
    return client, NotebookInstance(clients, instance_request(BLUEPRINT, settings))


def changing(client: FakeClient) -> list[str]:
    """The operations that change something."""
    return [name for name in client.names() if not name.startswith(("describe", "list"))]


def test_aws_takes_the_request() -> None:
    network = NotebookSettings(subnet="subnet-0123", security_groups=("sg-0123",), direct_internet=False)
    for settings in (SETTINGS, network):
        check("sagemaker", "CreateNotebookInstance", instance_request(BLUEPRINT, settings))
    assert instance_request(BLUEPRINT, network)["DirectInternetAccess"] == "Disabled"
    assert REQUEST["RootAccess"] == "Disabled"
    assert REQUEST["InstanceMetadataServiceConfiguration"] == {"MinimumInstanceMetadataServiceVersion": "2"}


def test_none() -> None:
    assert instance(NONE)[1].read() is None


def test_one_of_somebody_else_is_left_alone() -> None:
    _, one = instance(described(), list_tags={"Tags": []})
    with pytest.raises(ownership.NotOurs, match="The notebook instance dogs-notebook is there already"):
        one.read()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (described(), []),
        (described("Stopped"), []),  # it stops itself
        (described("Pending"), ["NotebookInstanceStatus: Pending -> InService"]),
        (
            described("Failed", FailureReason="OnCreate failed"),
            ["NotebookInstanceStatus: Failed (OnCreate failed) -> InService"],
        ),
        (described(InstanceType="ml.m5.xlarge"), ["InstanceType: ml.m5.xlarge -> ml.t3.medium"]),
        (described(RootAccess="Enabled"), ["RootAccess: Enabled -> Disabled"]),
        (described(VolumeSizeInGB=5), ["VolumeSizeInGB: 5 -> 10"]),
        (described(DirectInternetAccess="Disabled"), ["DirectInternetAccess: Disabled -> Enabled"]),
    ],
)
def test_what_differs(state: dict[str, Any], words: list[str]) -> None:
    changes = instance()[1].diff(state)
    assert [str(change) for change in changes] == words
    assert not any(change.replaces for change in changes)


def test_one_that_somebody_deletes_is_made_anew() -> None:
    (change,) = instance()[1].diff(described("Deleting"))
    assert change.replaces


def test_a_new_one_is_waited_for() -> None:
    client, one = instance(described("Pending"), described("Pending"), described())
    assert one.create() == "ml.t3.medium, to open it: make notebook"
    assert client.calls[0] == ("create_notebook_instance", REQUEST)


def test_a_script_that_fails_is_told_with_the_end_of_its_log() -> None:
    client = FakeClient({"describe_notebook_instance": described("Failed", FailureReason="OnCreate failed")})
    logs = FakeClient(
        {
            "describe_log_streams": {"logStreams": [{"logStreamName": "dogs-notebook/LifecycleConfigOnCreate"}]},
            "get_log_events": {"events": [{"message": "no such repository\n"}], "nextForwardToken": "1"},
        }
    )
    one = NotebookInstance(fake_clients(sagemaker=client, logs=logs), REQUEST)
    with pytest.raises(StepFailed, match="dogs-notebook is not in service: OnCreate failed") as caught:
        one.create()
    assert "no such repository" in caught.value.evidence
    asked = dict(logs.calls)["describe_log_streams"]
    assert asked == {
        "logGroupName": "/aws/sagemaker/NotebookInstances",
        "logStreamNamePrefix": "dogs-notebook/LifecycleConfig",
    }


def test_a_quota_that_is_used_up_is_named() -> None:
    words = "The account-level service limit 'ml.t2.medium for notebook instance usage' is 0 Instances"
    refusal = ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": words}}, "CreateNotebookInstance")
    _, one = instance(settings=replace(SETTINGS, instance_type="ml.t2.medium"), create_notebook_instance=refusal)
    with pytest.raises(StepFailed, match=r"ml\.t2\.medium for notebook instance usage") as caught:
        one.create()
    assert "--quota-code L-7B2FD69B" in caught.value.evidence[0]


def test_one_in_service_is_stopped_for_a_change_and_started_again() -> None:
    old = described(InstanceType="ml.m5.xlarge", VolumeSizeInGB=5)
    client, one = instance(
        old, described("Stopping"), described("Stopped"), described("Updating"), described("Stopped"),
        described("Stopped"), described("Pending"), described(),
    )  # fmt: skip
    assert one.update(old, one.diff(old)) == "ml.t3.medium, to open it: make notebook"
    assert changing(client) == ["stop_notebook_instance", "update_notebook_instance", "start_notebook_instance"]
    request = dict(client.calls)["update_notebook_instance"]
    assert request == {"NotebookInstanceName": "dogs-notebook", "InstanceType": "ml.t3.medium", "VolumeSizeInGB": 10}
    check("sagemaker", "UpdateNotebookInstance", request)


def test_one_that_is_stopped_is_changed_and_stays_stopped() -> None:
    old = described("Stopped", RootAccess="Enabled")
    client, one = instance(old, described("Stopped"))
    assert one.update(old, one.diff(old)) == "ml.t3.medium, stopped, to open it: make notebook"
    assert changing(client) == ["update_notebook_instance"]


def test_one_that_failed_is_started() -> None:
    client, one = instance(described("Failed"), described("Failed"), described("Pending"), described())
    one.update(described("Failed"), [])
    assert changing(client) == ["start_notebook_instance"]


@pytest.mark.parametrize("old", [{"VolumeSizeInGB": 20}, {"DirectInternetAccess": "Disabled"}])
def test_what_would_cost_the_volume_is_refused(old: dict[str, Any]) -> None:
    state = described(**old)
    client, one = instance(state)
    with pytest.raises(StepFailed, match="AWS cannot change this of the notebook instance dogs-notebook") as caught:
        one.update(state, one.diff(state))
    assert "save what is on its volume" in caught.value.next_step
    assert changing(client) == []


def test_a_volume_keeps_the_key_that_it_was_made_with() -> None:
    keyed = replace(BLUEPRINT, key="arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    state = described(KmsKeyId="another")
    client, plain = instance(state)
    assert plain.diff(state) == []
    one = NotebookInstance(fake_clients(sagemaker=client), instance_request(keyed, SETTINGS))
    assert one.diff(described(KmsKeyId=keyed.key)) == []
    with pytest.raises(StepFailed, match="KmsKeyId: another -> arn"):
        one.update(state, one.diff(state))
    assert changing(client) == []


def test_one_in_service_is_stopped_before_it_is_deleted() -> None:
    client, one = instance(
        described(), described(), described("Stopping"), described("Stopped"), described("Deleting"), NONE
    )
    one.delete()
    assert changing(client) == ["stop_notebook_instance", "delete_notebook_instance"]


def test_one_that_starts_is_waited_for_before_it_is_deleted() -> None:
    client, one = instance(described("Pending"), described("Pending"), described("Failed"), NONE)
    one.delete()
    assert changing(client) == ["delete_notebook_instance"]


def test_its_logs_are_deleted_and_no_others() -> None:
    streams = {"logStreams": [{"logStreamName": "dogs-notebook/jupyter.log"}]}
    logs = FakeClient({"describe_log_streams": streams})
    client = FakeClient({"describe_notebook_instance": NONE})
    NotebookInstance(fake_clients(sagemaker=client, logs=logs), REQUEST).delete()
    assert logs.calls[-1] == (
        "delete_log_stream",
        {"logGroupName": "/aws/sagemaker/NotebookInstances", "logStreamName": "dogs-notebook/jupyter.log"},
    )
    assert logs.calls[0][1]["logStreamNamePrefix"] == "dogs-notebook/"


def test_a_person_is_asked_before_its_volume_is_lost() -> None:
    assert instance()[1].holds == "what was written on its volume"


def test_an_address() -> None:
    answer = {"AuthorizedUrl": "https://dogs-notebook.notebook.us-east-1.sagemaker.aws?authToken=1"}
    client, one = instance(described(), create_presigned_notebook_instance_url=answer)
    assert one.address() == answer["AuthorizedUrl"]
    client, one = instance(described("Stopped"), described("Pending"), described())
    one.start()
    assert changing(client) == ["start_notebook_instance"]


def test_one_that_never_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "WAIT_LIMIT_S", -1.0)
    with pytest.raises(StepFailed, match="did not settle"):
        instance(described("Pending"))[1].start()


def lifecycle(found: Any) -> tuple[FakeClient, NotebookLifecycle]:
    operation = "describe_notebook_instance_lifecycle_config"
    client = FakeClient({operation: found, "list_tags": {"Tags": BLUEPRINT.tags}})
    return client, NotebookLifecycle(client, lifecycle_request(BLUEPRINT, SETTINGS))


def test_scripts_of_another_checkout_are_replaced() -> None:
    wanted = lifecycle_request(BLUEPRINT, SETTINGS)
    arn = {"NotebookInstanceLifecycleConfigArn": "arn"}
    assert engine.apply_one(lifecycle({**wanted, **arn})[1]) == ("unchanged", "")
    client, one = lifecycle({**wanted, **arn, "OnStart": [{"Content": "IyE="}]})
    assert engine.apply_one(one) == ("update", "from the next start of the instance on")
    check("sagemaker", "UpdateNotebookInstanceLifecycleConfig", dict(client.calls)[changing(client)[0]])


def test_no_scripts() -> None:
    client, one = lifecycle(NONE)
    assert engine.apply_one(one) == ("create", "")
    assert changing(client) == ["create_notebook_instance_lifecycle_config"]
    one.delete()
    assert changing(client)[-1] == "delete_notebook_instance_lifecycle_config"


NO_CONTAINERS = "notebook instances in the process runtime: they need the stack in containers is not supported yet."


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (200, json.dumps({"WhyNone": NO_CONTAINERS}), NO_CONTAINERS[:-1]),
        (200, json.dumps({"WhyNone": ""}), ""),
        (404, "{}", "the stack at this address does not say whether it has any"),
        (200, "no JSON", "the stack at this address does not say whether it has any"),
    ],
)
def test_a_stage_says_whether_it_has_any(status: int, answer: str, reason: str) -> None:
    client = FakeClient()
    with saying(answer, status) as (url, asked):
        assert why_not_offered(replace(fake_clients(sagemaker=client), endpoint=url)) == reason
    assert (asked, client.calls) == (["GET /_stagemaker/notebooks"], [])


def test_a_stage_that_does_not_answer() -> None:
    with pytest.raises(StepFailed, match="The stack does not answer"):
        why_not_offered(fake_clients())


def test_aws_is_not_asked_whether_it_has_any() -> None:
    client = FakeClient()
    assert why_not_offered(replace(fake_clients(sagemaker=client), target="aws")) == ""
    assert client.calls == []
