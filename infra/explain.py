"""Says what each role of a deployment may do, and what the policies of its other resources say, and why, from the
blueprint alone: nobody is asked."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.blueprint import Blueprint
from infra.deployer import deployer
from infra.errors import StepFailed
from infra.policy import MAX_INLINE_CHARACTERS, MAX_MANAGED_CHARACTERS
from infra.resource_policies import POLICIES, ResourcePolicy
from infra.roles import ROLES, Conditions, Role, Statement
from infra.roles import document as policy_of
from infra.terminal import Terminal

EXPLAINED: Mapping[str, Callable[[Blueprint], Role | ResourcePolicy]] = {
    **ROLES,
    "deployer": deployer,
    **POLICIES,
}
LOCAL_ACCOUNT = "000000000000"  # that of the local credentials
_HEADER = ("Statement", "Actions", "Resources", "Condition", "Why")


def show(blueprint: Blueprint, purpose: str | None, as_json: bool, terminal: Terminal) -> None:
    """Print the role or policy of this purpose, or without one all of them: as a table, or as one JSON document. Raises
    StepFailed where there is none."""
    if purpose is not None and purpose not in EXPLAINED:
        raise StepFailed(f"There is no role {purpose}.", f"Name one of {', '.join(EXPLAINED)}.")
    every = {name: EXPLAINED[name](blueprint) for name in ([purpose] if purpose else EXPLAINED)}
    found = {name: one for name, one in every.items() if one.statements}
    if not found:
        raise StepFailed(f"These settings have no {purpose}.", "Give a preset that has one.")
    if as_json:
        print(json.dumps({name: document(one) for name, one in found.items()}, indent=2))
        return
    for one in found.values():
        who = f" Who may take it: {one.trusted}" if isinstance(one, Role) else ""
        title = f"{one.name}: {one.description}.{who}"
        terminal.table(title, _HEADER, [_row(statement) for statement in one.statements])
        if isinstance(one, Role) and (parts := managed(one)):
            terminal.say(
                f"As an inline policy this is longer than IAM takes. Attach it as {len(parts)} managed policies: "
                "--json has them."
            )


_ATTACHED: Mapping[str, str] = {
    "data-bucket": "The owner of the bucket {} attaches this policy to it:",
    "data-key": "The owner of the KMS key {} adds these statements to its policy:",
    "key": "The policy of the KMS key {} must have these statements besides its own:",
}


def tell(policies: Mapping[str, ResourcePolicy], say: Callable[[str], None]) -> None:
    """Say the policies of `of_others`, each with who puts it where."""
    for name, one in policies.items():
        say(_ATTACHED[name].format(one.name))
        say(json.dumps(one.policy, indent=2))


def document(one: Role | ResourcePolicy) -> dict[str, Any]:
    """The policy as AWS takes it, that of a role with its trust and, where it is too long, in parts, and the reason of
    each statement by its Sid."""
    parts = managed(one) if isinstance(one, Role) else []
    return {
        "name": one.name,
        "description": one.description,
        **({"trust": one.trust} if isinstance(one, Role) else {}),
        "policy": one.policy,
        **({"managed_policies": parts} if parts else {}),
        "reasons": {statement.sid: statement.reason for statement in one.statements},
    }


def managed(role: Role) -> list[dict[str, Any]]:
    """The policy in parts, each of which IAM takes as a managed policy; none where it takes the whole inline. IAM
    counts no white space ("IAM and AWS STS quotas" in its guide)."""
    if _characters(role.statements) <= MAX_INLINE_CHARACTERS:
        return []
    parts: list[list[Statement]] = [[]]
    for statement in role.statements:
        if _characters([*parts[-1], statement]) > MAX_MANAGED_CHARACTERS:
            parts.append([])
        parts[-1].append(statement)
    return [policy_of(part) for part in parts]


def _characters(statements: Iterable[Statement]) -> int:
    return len(json.dumps(policy_of(statements), separators=(",", ":")))


def _row(statement: Statement) -> tuple[str, ...]:
    denied = f"{statement.sid} (denies)" if statement.effect == "Deny" else statement.sid
    return (
        denied,
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
