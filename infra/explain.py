"""Says what each role of a deployment may do and why, from the blueprint alone: nobody is asked."""

import json
from collections.abc import Iterable
from typing import Any

from infra.blueprint import Blueprint
from infra.errors import StepFailed
from infra.roles import ROLES, Conditions, Role, Statement
from infra.terminal import Terminal

LOCAL_ACCOUNT = "000000000000"  # that of the local credentials
_HEADER = ("Statement", "Actions", "Resources", "Condition", "Why")


def show(blueprint: Blueprint, purpose: str | None, as_json: bool, terminal: Terminal) -> None:
    """Print the role of this purpose, or without one every role: as a table, or as one JSON document. Raises
    StepFailed where there is no such role."""
    if purpose is not None and purpose not in ROLES:
        raise StepFailed(f"There is no role {purpose}.", f"Name one of {', '.join(ROLES)}.")
    found = {name: ROLES[name](blueprint) for name in ([purpose] if purpose else ROLES)}
    if as_json:
        print(json.dumps({name: document(role) for name, role in found.items()}, indent=2))
        return
    for role in found.values():
        title = f"{role.name}: {role.description}. Who may take it: {role.trusted}"
        terminal.table(title, _HEADER, [_row(statement) for statement in role.statements])


def document(role: Role) -> dict[str, Any]:
    """The role with its trust and its policy, as IAM takes them, and the reason of each statement by its Sid."""
    return {
        "name": role.name,
        "description": role.description,
        "trust": role.trust,
        "policy": role.policy,
        "reasons": {statement.sid: statement.reason for statement in role.statements},
    }


def _row(statement: Statement) -> tuple[str, ...]:
    return (
        statement.sid,
        "\n".join(statement.actions),
        "\n".join(statement.resources),
        "\n".join(_conditions(statement.condition)),
        statement.reason,
    )


def _conditions(condition: Conditions) -> Iterable[str]:
    for keys in condition.values():
        for key, values in keys.items():
            for value in [values] if isinstance(values, str) else values:
                yield f"{key}: {value}"
