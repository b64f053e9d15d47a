"""Reads the questions of an independent evaluator of IAM policies, with its answers."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

from stagemaker.access.evaluate import Policies
from stagemaker.access.policy import Policy, read_policy
from stagemaker.access.request import AccessRequest, Principal, read_context
from tests.unit.sources import ROOT

ALL_CASES = ROOT.parent / "shared" / "data" / "iam-cases" / "cases.jsonl.gz"
EXCERPT = ROOT / "tests" / "data" / "iam" / "cases.jsonl"
OUTCOMES = {"Allowed": "allowed", "ImplicitlyDenied": "implicitDeny", "ExplicitlyDenied": "explicitDeny"}


def read_cases() -> Iterator[dict[str, Any]]:
    """All rows when the whole set lies beside the checkout, else the excerpt."""
    text = gzip.decompress(ALL_CASES.read_bytes()).decode() if ALL_CASES.exists() else EXCERPT.read_text()
    return map(json.loads, text.splitlines())


def read_excerpt() -> Iterator[dict[str, Any]]:
    """The rows that are in the repository."""
    return map(json.loads, EXCERPT.read_text().splitlines())


def request_of(row: dict[str, Any]) -> AccessRequest:
    """The question of a row."""
    question = row["request"]
    is_session = ":assumed-role/" in question["principal"]
    return AccessRequest(
        principal=Principal(question["principal"], question["context"]["aws:PrincipalArn"] if is_session else None),
        action=question["action"],
        resource_arn=question["resource"]["arn"],
        resource_account=question["resource"]["account"],
        context=read_context(question["context"]),
    )


def policies_of(row: dict[str, Any]) -> Policies:
    """The policies of a row."""
    found = row["policies"]
    return Policies(
        identity=tuple(read_policy(json.dumps(one["document"])) for one in found["identity"]),
        boundary=_policy(found["boundary"]),
        session=_policy(found["session"]),
        resource=_policy(found["resource"]),
        trust=_policy(found["trust"]),
    )


def _policy(document: dict[str, Any] | None) -> Policy | None:
    return None if document is None else read_policy(json.dumps(document))
