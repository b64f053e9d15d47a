"""The address of the function."""

import json
from typing import Any

from infra import engine
from infra.blueprint import Blueprint
from infra.resources.function_url import FunctionUrl
from infra.settings import DeploymentSettings, FunctionSettings
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing

ADDRESS = "http://abc.lambda-url.us-east-1.localhost:4566/"
PAGE = "http://localhost:3000"
NONE = missing("ResourceNotFoundException")
OPEN = {"Policy": json.dumps({"Statement": [{"Sid": "call-the-url"}, {"Sid": "by-the-url"}, {"Sid": "another"}]})}
THERE = {"FunctionUrl": ADDRESS, "AuthType": "NONE"}


def url(*origins: str, wanted: bool = True, config: Any = THERE, policy: Any = OPEN) -> tuple[FakeClient, FunctionUrl]:
    settings = DeploymentSettings(function=FunctionSettings(url=wanted, origins=origins))
    client = FakeClient(
        {
            "get_function_url_config": config,
            "get_policy": policy,
            "create_function_url_config": {"FunctionUrl": ADDRESS},
        }
    )
    return client, FunctionUrl(fake_clients(lambda_=client), Blueprint(settings, ACCOUNT, "ab" * 32))


def applied(client: FakeClient, one: FunctionUrl) -> tuple[list[str], list[str]]:
    """The members that differ, and the operations that changed something."""
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    if changes:
        one.update(state, changes)
    return [each.member for each in changes], [name for name in client.names() if not name.startswith("get_")]


def test_none() -> None:
    assert url(config=NONE)[1].read() is None


def test_a_new_one_is_opened_by_two_statements() -> None:
    client, one = url(config=NONE, policy=NONE)
    assert one.create() == ADDRESS
    assert client.names() == ["create_function_url_config", "get_policy", "add_permission", "add_permission"]


def test_as_wanted() -> None:
    assert applied(*url()) == ([], [])
    cors = {"AllowOrigins": [PAGE], "AllowMethods": ["POST"], "AllowHeaders": ["content-type"], "MaxAge": 600}
    assert applied(*url(PAGE, config={**THERE, "Cors": {**cors, "AllowCredentials": False}})) == ([], [])


def test_who_may_call_it_is_changed() -> None:
    assert applied(*url(PAGE)) == (["Cors"], ["update_function_url_config"])
    assert applied(*url(config={**THERE, "Cors": {"AllowOrigins": ["*"]}}))[0] == ["Cors"]
    assert applied(*url(config={**THERE, "AuthType": "AWS_IAM"}))[0] == ["AuthType"]


def test_one_that_was_closed_is_opened() -> None:
    assert applied(*url(policy=NONE)) == (["Policy", "Policy"], ["add_permission", "add_permission"])


def test_one_that_is_not_wanted_is_deleted_with_what_opened_it() -> None:
    client, one = url(wanted=False)
    assert engine.apply_one(one) == ("delete", "")
    assert [name for name in client.names() if not name.startswith("get_")] == [
        "delete_function_url_config",
        "remove_permission",
        "remove_permission",
    ]
