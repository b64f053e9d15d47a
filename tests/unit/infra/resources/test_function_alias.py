"""The alias of the function: its version, and what waits warm."""

from pathlib import Path
from typing import Any

import pytest

from infra.blueprint import ALIAS, Blueprint
from infra.errors import StepFailed
from infra.resources.function import digest_of, pack
from infra.resources.function_alias import FunctionAlias
from infra.settings import DeploymentSettings, FunctionSettings
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing

NONE = missing("ProvisionedConcurrencyConfigNotFoundException")
READY = {"RequestedProvisionedConcurrentExecutions": 2, "Status": "READY"}


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text("x = 1\n")
    return tmp_path / "handler.py"


def alias(handler: Path, provisioned: int = 0, **answers: Any) -> tuple[FakeClient, FunctionAlias]:
    blueprint = Blueprint(DeploymentSettings(function=FunctionSettings(provisioned=provisioned)), ACCOUNT, "ab" * 32)
    version = {**blueprint.function_request(), "CodeSha256": digest_of(pack(handler)), "State": "Active"}
    client = FakeClient(
        {
            "get_alias": {"FunctionVersion": "3"},
            "get_function_configuration": version,
            "get_provisioned_concurrency_config": NONE,
            "publish_version": {"Version": "4"},
            **answers,
        }
    )
    return client, FunctionAlias(fake_clients(lambda_=client), blueprint, handler)


def changes(one: FunctionAlias) -> list[str]:
    state = one.read()
    assert state is not None
    return [str(change) for change in one.diff(state)]


def updated(one: FunctionAlias) -> str:
    state = one.read()
    assert state is not None
    return one.update(state, one.diff(state))


def calls(client: FakeClient) -> list[str]:
    """Those that change something."""
    return [name for name in client.names() if not name.startswith("get_")]


def test_none(handler: Path) -> None:
    assert alias(handler, get_alias=missing("ResourceNotFoundException"))[1].read() is None


def test_as_wanted(handler: Path) -> None:
    assert changes(alias(handler)[1]) == []
    assert changes(alias(handler, 2, get_provisioned_concurrency_config=READY)[1]) == []


def test_a_new_one_names_a_new_version(handler: Path) -> None:
    client, one = alias(handler)
    assert one.create() == "version 4"
    assert calls(client) == ["publish_version", "create_alias"]
    assert client.calls[-1][1] == {"FunctionName": "stagemaker-demo-proxy", "Name": ALIAS, "FunctionVersion": "4"}


def test_what_waits_warm_is_waited_for(handler: Path) -> None:
    progress = {**READY, "Status": "IN_PROGRESS"}
    client, one = alias(handler, 2, get_provisioned_concurrency_config=[progress, progress, READY])
    one.create()
    assert calls(client)[-1] == "put_provisioned_concurrency_config"
    assert client.names().count("get_provisioned_concurrency_config") == 3


def test_another_function_gets_another_version(handler: Path) -> None:
    old = {"CodeSha256": "old", "State": "Active"}
    client, one = alias(handler, get_function_configuration=[old, {"State": "Pending"}, {"State": "Active"}])
    assert updated(one) == "version 4"
    assert calls(client) == ["publish_version", "update_alias"]


@pytest.mark.parametrize(
    ("wanted", "found", "call"),
    [
        (2, [NONE, READY], "put_provisioned_concurrency_config"),
        (0, READY, "delete_provisioned_concurrency_config"),
        (3, READY, "put_provisioned_concurrency_config"),
        (2, [{**READY, "Status": "FAILED"}, READY], "put_provisioned_concurrency_config"),
    ],
)
def test_another_number_of_warm_environments(handler: Path, wanted: int, found: Any, call: str) -> None:
    client, one = alias(handler, wanted, get_provisioned_concurrency_config=found)
    assert updated(one) == "version 3"
    assert calls(client) == [call]


def test_what_cannot_be_initialised_fails_with_its_reason(handler: Path) -> None:
    failed = {**READY, "Status": "FAILED", "StatusReason": "FUNCTION_ERROR_INIT_FAILURE"}
    _, one = alias(handler, 2, get_provisioned_concurrency_config=failed)
    with pytest.raises(StepFailed, match="FUNCTION_ERROR_INIT_FAILURE"):
        one.create()


def test_deleting_ends_what_waits_warm_first(handler: Path) -> None:
    client, one = alias(handler, get_provisioned_concurrency_config=READY)
    one.delete()
    assert calls(client) == ["delete_provisioned_concurrency_config", "delete_alias"]
