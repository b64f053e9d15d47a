"""Each role with its reasons, as a table and as JSON, without a stack."""

import json
from typing import Any

import pytest
from rich.console import Console

from infra import cli, explain
from infra.blueprint import Blueprint
from infra.data_bucket.settings import DataSettings
from infra.deployer import deployer
from infra.encryption.settings import EncryptionSettings
from infra.errors import StepFailed
from infra.resource_policies import data_bucket, key, of_others
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


def test_policies_of_others_are_told_with_who_puts_them_where() -> None:
    data = DataSettings("photos", "210987654321")
    settings = DeploymentSettings(data=data, encryption=EncryptionSettings("alias/dogs"))
    blueprint, said = Blueprint(settings, "123456789012", data_digest=""), list[str]()
    explain.tell(of_others(blueprint), said.append)
    assert said[0] == "The owner of the bucket photos attaches this policy to it:"
    assert said[2] == "The policy of the KMS key alias/dogs must have these statements besides its own:"
    assert [json.loads(text) for text in said[1::2]] == [data_bucket(blueprint).policy, key(blueprint).policy]
    assert of_others(BLUEPRINT) == {}


def test_a_policy_that_is_too_long_is_shown_in_parts() -> None:
    def shown(project: str, region: str) -> tuple[str, Any]:
        blueprint = Blueprint(DeploymentSettings(project=project, region=region), "123456789012", data_digest="")
        console = Console(record=True, width=400)
        explain.show(blueprint, "deployer", as_json=False, terminal=Terminal(console))
        return console.export_text(), explain.document(deployer(blueprint))

    said, document = shown("a" * 20, "us-gov-west-1")
    assert "Attach it as 2 managed policies: --json has them." in said
    assert len(document["managed_policies"]) == 2
    said, document = shown("dogs", "us-east-1")
    assert "managed" not in said
    assert "managed_policies" not in document
