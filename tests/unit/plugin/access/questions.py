"""Short ways to ask, for tests that show one rule each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stagemaker.access.evaluate import Decision, Outcome, Policies, decide
from stagemaker.access.policy import Policy, read_policy
from stagemaker.access.request import AccessRequest, Principal, read_context

ALLOWED, IMPLICIT_DENY, EXPLICIT_DENY = Outcome.ALLOWED, Outcome.IMPLICIT_DENY, Outcome.EXPLICIT_DENY
ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
USER = Principal(f"arn:aws:iam::{ACCOUNT}:user/team/alice")
ROOT_USER = Principal(f"arn:aws:iam::{ACCOUNT}:root")
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/ml/Trainer"
SESSION = Principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/Trainer/run-1", ROLE_ARN)
SERVICE = Principal("lambda.amazonaws.com")
STRANGER = Principal(f"arn:aws:iam::{OTHER_ACCOUNT}:user/bob")
OBJECT_ARN = "arn:aws:s3:::data/home/alice/train.csv"
ASSUMED_ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/Target"


def policy(*statements: Mapping[str, Any], version: str | None = "2012-10-17") -> Policy:
    """A document of these statements; without a Version if it is None."""
    document: dict[str, Any] = {"Statement": [dict(statement) for statement in statements]}
    return read_policy(json.dumps(document if version is None else {"Version": version, **document}))


def allow(**elements: Any) -> dict[str, Any]:
    """A statement of an identity policy that allows everything but for these elements."""
    return _statement("Allow", elements)


def deny(**elements: Any) -> dict[str, Any]:
    """A statement of an identity policy that denies everything but for these elements."""
    return _statement("Deny", elements)


def grant(*aws: str, **elements: Any) -> dict[str, Any]:
    """A statement of a resource-based policy that allows these principals everything."""
    return allow(Principal={"AWS": list(aws)}, **elements)


def _statement(effect: str, elements: Mapping[str, Any]) -> dict[str, Any]:
    negated = {element.removeprefix("Not") for element in elements if element.startswith("Not")}
    whole = {element: "*" for element in ("Action", "Resource") if element not in negated}
    return {"Effect": effect, **whole, **elements}


def ask(
    policies: Policies,
    principal: Principal = USER,
    action: str = "s3:GetObject",
    resource: str = OBJECT_ARN,
    account: str = ACCOUNT,
    context: Mapping[str, str | Sequence[str]] | None = None,
) -> Decision:
    """The decision on one request."""
    return decide(AccessRequest(principal, action, resource, account, read_context(context or {})), policies)


def outcome_of(statement: Mapping[str, Any], version: str | None = "2012-10-17", **question: Any) -> Outcome:
    """The outcome with one identity policy of one statement."""
    return ask(Policies(identity=(policy(statement, version=version),)), **question).outcome
