"""A policy document, read once into frozen statements.

Source: the grammar of the IAM user guide,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. Only what a decision needs is checked:
the services themselves check sizes, identifiers and names when a policy is stored.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from stagemaker.access.conditions import Condition, read_operator
from stagemaker.access.match import read_resource, read_wildcards, runs_fit
from stagemaker.access.request import Context, Principal
from stagemaker.core.numbers import whole_number

VARIABLES_VERSION, OLD_VERSION = "2012-10-17", "2008-10-17"
_ELEMENTS = {
    "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition",
}  # fmt: skip


class PolicyError(ValueError):
    """A policy document is broken; the message says where and how."""


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal or NotPrincipal element. An account is written as the ARN of its root."""

    everyone: bool
    arns: frozenset[str]
    services: frozenset[str]

    def excepts(self, principal: Principal) -> bool:
        """Whether NotPrincipal spares this principal. It must name the account as well as the user, role or session."""
        if self.everyone or principal.is_service:
            return self.everyone or principal.arn in self.services
        names = {principal.arn, principal.role_arn, *([principal.account_arn] if principal.is_root else [])}
        return principal.account_arn in self.arns and not self.arns.isdisjoint(names)


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One statement. `resources` and `principals` are None where the statement has no such element.

    The texts are taken apart when a request needs them first, and then kept by match.py: most requests need few.
    """

    index: int  # from 0, in its policy
    allows: bool
    actions: tuple[str, ...]
    is_not_action: bool
    resources: tuple[str, ...] | None
    is_not_resource: bool
    principals: Principals | None
    is_not_principal: bool
    conditions: tuple[Condition, ...]
    variables: bool  # whether its version has variables

    def covers_action(self, action: str) -> bool:
        """Whether it is about this action, which is in lower case."""
        return any(runs_fit(read_wildcards(text.lower()), action) for text in self.actions) != self.is_not_action

    def covers_resource(self, arn: str, context: Context) -> bool:
        """Whether it is about this resource. Without a Resource element it is about what its policy is attached to."""
        if self.resources is None:
            return True
        fitting = (read_resource(text, self.variables).fits(arn, context) for text in self.resources)
        return all(fits is False for fits in fitting) if self.is_not_resource else any(fitting)

    @property
    def needs_context(self) -> bool:
        """Whether its resources can have variables."""
        return self.variables and any("${" in text for text in self.resources or ())

    def conditions_hold(self, context: Context) -> bool:
        """Whether all of its conditions are true."""
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """A document that was read. Compared and cached by identity, since read_policy returns one for each text."""

    text: str
    statements: tuple[Statement, ...]

    def applying(self, action: str, resource_arn: str, context: Context) -> list[Statement]:
        """The statements about the action, in lower case, and the resource, whose conditions hold."""
        return [
            statement
            for statement, needs_context in _about(self, action, resource_arn)
            if (not needs_context or statement.covers_resource(resource_arn, context))
            and statement.conditions_hold(context)
        ]

    @property
    def context_keys(self) -> set[str]:
        """The condition keys and variables without a default that its statements name."""
        keys = {key for statement in self.statements for one in statement.conditions for key in one.context_keys}
        for statement in self.statements:
            for text in statement.resources or ():
                keys.update(read_resource(text, statement.variables).variables)
        return keys


@lru_cache(maxsize=8192)
def _about(policy: Policy, action: str, resource_arn: str) -> tuple[tuple[Statement, bool], ...]:
    """The statements about an action and a resource, and whether the context decides on the resource yet."""
    found = []
    for statement in policy.statements:
        if statement.covers_action(action):
            needs_context = statement.needs_context
            if needs_context or statement.covers_resource(resource_arn, {}):
                found.append((statement, needs_context))
    return tuple(found)


@lru_cache(maxsize=1024)
def read_policy(text: str) -> Policy:
    """The policy of a JSON document. Raises PolicyError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(f"The policy is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise PolicyError("The policy is not a JSON object")
    if unknown := document.keys() - {"Version", "Id", "Statement"}:
        raise PolicyError(f"The policy has the unknown element {min(unknown)}")
    version = document.get("Version", OLD_VERSION)
    if version not in (VARIABLES_VERSION, OLD_VERSION):
        raise PolicyError(f"Version must be {VARIABLES_VERSION} or {OLD_VERSION}")
    if "Statement" not in document:
        raise PolicyError("The policy has no Statement")
    found = document["Statement"]
    statements = found if isinstance(found, list) else [found]
    variables = version == VARIABLES_VERSION
    return Policy(text, tuple(_statement(one, index, variables) for index, one in enumerate(statements)))


def _statement(content: Any, index: int, variables: bool) -> Statement:
    where = f"Statement[{index}]"
    if not isinstance(content, dict):
        raise PolicyError(f"{where} is not an object")
    if unknown := content.keys() - _ELEMENTS:
        raise PolicyError(f"{where} has the unknown element {min(unknown)}")
    if content.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"{where}.Effect must be Allow or Deny")
    allows = content["Effect"] == "Allow"
    action, principal = _one_of(content, "Action", where), _one_of(content, "Principal", where)
    resource = _one_of(content, "Resource", where)
    if action is None:
        raise PolicyError(f"{where} has neither Action nor NotAction")
    if resource is None and principal is None:
        raise PolicyError(f"{where} has neither Resource nor NotResource")
    if principal == "NotPrincipal" and allows:
        raise PolicyError(f"{where}: NotPrincipal goes with the effect Deny only")
    return Statement(
        index=index,
        allows=allows,
        actions=_texts(content, action, where),
        is_not_action=action == "NotAction",
        resources=_texts(content, resource, where) if resource else None,
        is_not_resource=resource == "NotResource",
        principals=_principals(content[principal], f"{where}.{principal}") if principal else None,
        is_not_principal=principal == "NotPrincipal",
        conditions=_conditions(content["Condition"], f"{where}.Condition", variables) if "Condition" in content else (),
        variables=variables,
    )


def _one_of(content: Mapping[str, Any], name: str, where: str) -> str | None:
    """Which of an element and its negation a statement has."""
    negation = "Not" + name
    if name in content and negation in content:
        raise PolicyError(f"{where} has both {name} and {negation}")
    return name if name in content else negation if negation in content else None


def _texts(content: Mapping[str, Any], element: str, where: str) -> tuple[str, ...]:
    """The one string, or the list of strings, of an element; nothing if it is absent."""
    found = content.get(element, [])
    texts = found if isinstance(found, list) else [found]
    if not all(isinstance(text, str) for text in texts):
        raise PolicyError(f"{where}.{element} must be a string or a list of strings")
    return tuple(texts)


def _principals(content: Any, where: str) -> Principals:
    if content == "*":
        return Principals(True, frozenset(), frozenset())
    if not isinstance(content, dict):
        raise PolicyError(f"{where} must be '*' or an object")
    if unknown := content.keys() - {"AWS", "Service", "Federated", "CanonicalUser"}:
        raise PolicyError(f"{where} has the unknown element {min(unknown)}")
    names, services = _texts(content, "AWS", where), _texts(content, "Service", where)
    arns = [f"arn:aws:iam::{name}:root" if whole_number(name) is not None else name for name in names]
    return Principals("*" in names, frozenset(arns), frozenset(services))


def _conditions(content: Any, where: str, variables: bool) -> tuple[Condition, ...]:
    if not isinstance(content, dict):
        raise PolicyError(f"{where} must be an object")
    conditions = []
    for name, keys in content.items():
        operator = read_operator(name)
        if operator is None:
            raise PolicyError(f"{where} has the unknown operator {name}")
        if not isinstance(keys, dict):
            raise PolicyError(f"{where}.{name} must be an object")
        for key, values in keys.items():
            conditions.append(Condition(operator, key, _values(values, where, name, key), variables))
    return tuple(conditions)


def _values(content: Any, *where: str) -> tuple[str, ...]:
    """Condition values: strings, numbers or booleans, single or in a list."""
    values = content if isinstance(content, list) else [content]
    if not all(isinstance(value, (str, int, float)) for value in values):
        raise PolicyError(f"{'.'.join(where)} must be a string, a number, a boolean or a list of them")
    return tuple([value if isinstance(value, str) else json.dumps(value) for value in values])
