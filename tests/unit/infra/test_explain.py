"""Each role with its reasons, as a table and as JSON, without a stack."""

import json

import pytest
from rich.console import Console

from infra import cli, explain
from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.roles import ROLES
from infra.settings import DeploymentSettings
from infra.terminal import Terminal

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", data_digest="")


def test_every_statement_is_a_row_with_its_reason() -> None:
    console = Console(record=True, width=400)
    explain.show(BLUEPRINT, None, as_json=False, terminal=Terminal(console))
    said = console.export_text()
    for role_of in ROLES.values():
        role = role_of(BLUEPRINT)
        assert f"{role.name}: {role.description}. Who may take it: {role.trusted}" in said
        for statement in role.statements:
            assert statement.reason in said
            assert all(action in said for action in statement.actions)


def test_conditions_are_shown() -> None:
    console = Console(record=True, width=400)
    explain.show(BLUEPRINT, "hosting", as_json=False, terminal=Terminal(console))
    assert "s3:prefix: models/*" in console.export_text()


def test_a_role_that_there_is_not() -> None:
    with pytest.raises(StepFailed) as caught:
        explain.show(BLUEPRINT, "admin", as_json=False, terminal=Terminal(Console(quiet=True)))
    assert caught.value.reason == "There is no role admin."


def test_a_policy_that_these_settings_do_not_have() -> None:
    with pytest.raises(StepFailed, match="These settings have no data-bucket"):
        explain.show(BLUEPRINT, "data-bucket", as_json=False, terminal=Terminal(Console(quiet=True)))


def test_the_verb_writes_one_document_that_iam_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "lambda", "--json", "--account", "123456789012"]) == 0
    found = json.loads(capsys.readouterr().out)
    role = ROLES["lambda"](BLUEPRINT)
    assert found == {"lambda": explain.document(role)}
    assert found["lambda"]["policy"] == role.policy
    assert found["lambda"]["reasons"].keys() == {statement["Sid"] for statement in role.policy["Statement"]}
