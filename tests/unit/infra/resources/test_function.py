import base64
import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra import patience
from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.resources.function import Function, pack
from infra.settings import DeploymentSettings, FunctionSettings
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients, missing


def test_the_same_code_gives_the_same_archive(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("x = 1\n")
    (tmp_path / "two.py").write_text("x = 1\n")
    (tmp_path / "three.py").write_text("x = 2\n")
    one, two, three = (pack(tmp_path / f"{name}.py") for name in ("one", "two", "three"))
    assert one == two != three
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        assert archive.namelist() == ["handler.py"]
        assert archive.read("handler.py") == b"x = 1\n"
        assert archive.infolist()[0].external_attr >> 16 == 0o644


BLUEPRINT = Blueprint(DeploymentSettings(), ACCOUNT, "ab" * 32)


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text("x = 1\n")
    return tmp_path / "handler.py"


def described(handler: Path, **more: Any) -> dict[str, Any]:
    """GetFunctionConfiguration's answer for the function as it is wanted."""
    digest = base64.b64encode(hashlib.sha256(pack(handler)).digest()).decode()
    return {**BLUEPRINT.function_request(), "CodeSha256": digest, "State": "Active", "MemoryUsed": 1, **more}


def function(handler: Path, *answers: Any, blueprint: Blueprint = BLUEPRINT) -> tuple[FakeClient, Function]:
    tags = {tag["Key"]: tag["Value"] for tag in blueprint.tags}
    found = [each if isinstance(each, Exception) else {"Configuration": each, "Tags": tags} for each in answers]
    client = FakeClient({"get_function_configuration": list(answers), "get_function": found})
    return client, Function(fake_clients(lambda_=client), blueprint, handler)


def updated(handler: Path, state: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The changes in words, and the operations that made them."""
    client, one = function(handler, described(handler))
    changes = one.diff(state)
    one.update(state, changes)
    return [str(change) for change in changes], [name for name in client.names() if name.startswith("update")]


def test_none(handler: Path) -> None:
    assert function(handler, missing("ResourceNotFoundException"))[1].read() is None


@pytest.mark.parametrize("state", ["Active", "Inactive"])
def test_as_wanted(handler: Path, state: str) -> None:
    assert function(handler)[1].diff(described(handler, State=state)) == []


def test_other_code(handler: Path) -> None:
    words, calls = updated(handler, described(handler, CodeSha256="old"))
    assert words[0].startswith("CodeSha256: old -> ")
    assert calls == ["update_function_code"]


def test_another_setting(handler: Path) -> None:
    wanted = BLUEPRINT.function_request()["Environment"]["Variables"]
    state = described(handler, Environment={"Variables": {**wanted, "SYSTEM": "A"}})
    assert updated(handler, state) == (
        ["Environment.Variables.SYSTEM: A -> E"],
        ["update_function_configuration"],
    )


def test_one_in_change_is_only_waited_for(handler: Path) -> None:
    assert updated(handler, described(handler, LastUpdateStatus="InProgress"))[1] == []
    assert updated(handler, described(handler, State="Pending")) == (["State: Pending -> Active"], [])


def test_one_whose_creation_failed_is_replaced(handler: Path) -> None:
    (change,) = function(handler)[1].diff(described(handler, State="Failed"))
    assert change.replaces


def test_a_failure_says_its_reason(handler: Path) -> None:
    pending = described(handler, State="Pending")
    _, one = function(handler, pending, described(handler, State="Failed", StateReason="no image"))
    with pytest.raises(StepFailed, match="is Failed: no image"):
        one.create()


@pytest.mark.parametrize(
    ("wanted", "found", "call"),
    [
        (3, None, ("put_function_concurrency", {"ReservedConcurrentExecutions": 3})),
        (0, 3, ("put_function_concurrency", {"ReservedConcurrentExecutions": 0})),
        (None, 3, ("delete_function_concurrency", {})),
    ],
)
def test_reserved_concurrency(handler: Path, wanted: int | None, found: int | None, call: Any) -> None:
    settings = DeploymentSettings(function=FunctionSettings(reserved=wanted))
    client, one = function(handler, described(handler), blueprint=Blueprint(settings, ACCOUNT, "ab" * 32))
    client.answers["get_function"][0]["Concurrency"] = {} if found is None else {"ReservedConcurrentExecutions": found}
    state = one.read()
    assert state is not None
    (change,) = one.diff(state)
    assert (change.member, change.old, change.new) == ("ReservedConcurrentExecutions", found, wanted)
    one.update(state, [change])
    name, request = client.calls[-1]
    assert (name, request) == (call[0], {"FunctionName": one.name, **call[1]})


def test_reserved_concurrency_of_a_new_function(handler: Path) -> None:
    settings = DeploymentSettings(function=FunctionSettings(reserved=0))
    client, one = function(handler, described(handler), blueprint=Blueprint(settings, ACCOUNT, "ab" * 32))
    one.create()
    assert client.names()[-1] == "put_function_concurrency"


def test_a_key_comes_and_goes(handler: Path) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    with_key = replace(BLUEPRINT, key=key)
    for blueprint, state, sent in (
        (with_key, described(handler), key),
        (BLUEPRINT, described(handler, KMSKeyArn=key), ""),
        (replace(BLUEPRINT, key="arn:aws:kms:other"), described(handler, KMSKeyArn=key), "arn:aws:kms:other"),
    ):
        client, one = function(handler, described(handler), blueprint=blueprint)
        (change,) = one.diff(state)
        assert (change.member, change.new) == ("KMSKeyArn", sent)
        one.update(state, [change])
        (request,) = (members for name, members in client.calls if name == "update_function_configuration")
        check("lambda", "UpdateFunctionConfiguration", request)
        assert request["KMSKeyArn"] == sent
    assert function(handler, blueprint=with_key)[1].diff(described(handler, KMSKeyArn=key)) == []


def test_a_function_that_is_deleted_before_it_is_active_is_not_waited_for(
    handler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "GONE_S", 0.0)
    _, one = function(handler, described(handler, State="Pending"), missing("ResourceNotFoundException"))
    with pytest.raises(StepFailed, match=f"The function {one.name} was deleted meanwhile"):
        one.create()
