"""infra's own roles beside what a run needs, and every command of docs/access.md, on a stack with a deployment."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infra import policy
from infra.blueprint import Blueprint
from infra.clients import Clients
from infra.paths import CHECKOUT
from infra.roles import NOT_IN_EVERY_RUN, ROLES
from infra.settings import DeploymentSettings
from stagemaker.access.match import read_wildcards, runs_fit
from tests.e2e import readme
from tests.e2e.environment import Environment


def check_the_roles_have_what_a_run_needs(clients: Clients) -> None:
    """Nothing is granted that the run did not use, but for what the blueprint gives a reason for."""
    blueprint = Blueprint(DeploymentSettings(region=clients.region), clients.account, data_digest="")
    granted: set[tuple[str, str]] = set()
    for purpose, role_of in ROLES.items():
        if purpose in ("ec2", "notebook"):  # no run of the demo makes these roles
            continue
        role = role_of(blueprint)
        used = set(_pairs(policy.ask(clients, Principal=blueprint.role_arn(purpose))["Policy"]))
        unused = {pair for pair in _pairs(role.policy) if not _is_used(pair, used)}
        assert {pair for pair in unused if not any(_is_about(row, pair) for row in NOT_IN_EVERY_RUN)} == set()
        granted.update(_pairs(role.policy))
    assert [row for row in NOT_IN_EVERY_RUN if not any(_is_about(row, pair) for pair in granted)] == []


def check_every_command_of_the_document(environment: Environment, clients: Clients, folder: Path) -> None:
    """They run one after the other in one shell, in any mode."""
    text = "\n".join(block.text for block in readme.blocks("docs/access.md"))
    written = environment.paths.state / "deployer.json.tftpl"
    said = readme.run(
        text,
        CHECKOUT,
        {**environment.variables, "PATH": readme.path_with_aws(folder)},
        {"4566": str(environment.port), ".stagemaker/deployer.json.tftpl": str(written)},
    )
    assert '"InService"' in said
    assert '"sagemaker:InvokeEndpoint"' in said
    assert "s3:prefix" in said
    assert f"Written: {written}" in said
    template = written.read_text()
    assert "arn:aws:sagemaker:${region}:${account}:endpoint/stagemaker-demo" in template
    assert "stagemaker-demo-*" in template
    clients.iam.delete_user_policy(UserName="caller", PolicyName="describe")


def _pairs(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every action of the policy with every resource of its statement, or with every namespace of its condition."""
    for statement in document["Statement"]:
        keys = statement.get("Condition", {}).get("StringEquals", {})
        about = keys.get("cloudwatch:namespace", statement["Resource"])
        for each in [about] if isinstance(about, str) else about:
            for action in statement["Action"]:
                yield action, each


def _is_used(granted: tuple[str, str], used: set[tuple[str, str]]) -> bool:
    """Whether a resource that was seen is one of those that are granted."""
    return any(action == granted[0] and runs_fit(read_wildcards(granted[1]), about) for action, about in used)


def _is_about(row: tuple[str, str], pair: tuple[str, str]) -> bool:
    return pair[0] == row[0] and pair[1].endswith(row[1])
