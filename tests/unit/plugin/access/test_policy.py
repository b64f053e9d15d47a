"""Reading policy documents."""

import json
from typing import Any

import pytest

from stagemaker.access.policy import PolicyError, read_policy
from tests.unit.plugin.access.questions import ALLOWED, allow, outcome_of, policy


def test_a_document_is_read_once() -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": []})
    assert read_policy(text) is read_policy(text)


def test_one_statement_needs_no_list() -> None:
    read = read_policy(json.dumps({"Statement": allow(Action="s3:*")}))
    assert [statement.actions for statement in read.statements] == [("s3:*",)]


def test_condition_values_may_be_numbers_and_booleans() -> None:
    condition = {"Bool": {"aws:b": [True]}, "NumericEquals": {"aws:n": 3}}
    assert outcome_of(allow(Condition=condition), context={"aws:b": "true", "aws:n": "3"}) is ALLOWED


def test_a_policy_names_the_keys_that_it_needs() -> None:
    read = policy(
        allow(
            Resource="arn:aws:s3:::data/${aws:username}/${aws:userid, 'nobody'}",
            Condition={"StringLike": {"s3:prefix": "${aws:PrincipalTag/team}*"}, "NumericEquals": {"s3:max-keys": "1"}},
        )
    )
    assert read.context_keys == {"aws:username", "s3:prefix", "aws:PrincipalTag/team", "s3:max-keys"}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ({}, "no Statement"),
        ({"Statement": [], "Other": 1}, "unknown element Other"),
        ({"Statement": [], "Version": "2020-01-01"}, "Version must be"),
        ({"Statement": ["x"]}, r"Statement\[0\] is not an object"),
        ({"Statement": [allow(), allow(Effect="allow")]}, r"Statement\[1\].Effect must be Allow or Deny"),
        ({"Statement": allow(Actions="s3:*")}, "unknown element Actions"),
        ({"Statement": {"Effect": "Allow", "Resource": "*"}}, "neither Action nor NotAction"),
        ({"Statement": {"Effect": "Allow", "Action": "*"}}, "neither Resource nor NotResource"),
        ({"Statement": {**allow(), "NotAction": "*"}}, "both Action and NotAction"),
        ({"Statement": allow(Action=7)}, r"Statement\[0\].Action must be a string or a list"),
        ({"Statement": allow(Resource=["*", None])}, r"Statement\[0\].Resource must be a string or a list"),
        ({"Statement": allow(Principal="me")}, "Principal must be"),
        ({"Statement": allow(Principal={"User": "x"})}, "unknown element User"),
        ({"Statement": allow(NotPrincipal="*")}, "NotPrincipal goes with the effect Deny only"),
        ({"Statement": allow(Condition=[])}, "Condition must be an object"),
        ({"Statement": allow(Condition={"StringEquals": "x"})}, "Condition.StringEquals must be an object"),
        ({"Statement": allow(Condition={"StringIs": {}})}, "unknown operator StringIs"),
        ({"Statement": allow(Condition={"NullIfExists": {}})}, "unknown operator NullIfExists"),
        ({"Statement": allow(Condition={"ForAll:StringLike": {}})}, "unknown operator ForAll:StringLike"),
        ({"Statement": allow(Condition={"Bool": {"k": {}}})}, "Condition.Bool.k must be"),
    ],
)
def test_a_broken_document_is_refused_with_the_reason(document: Any, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(document if isinstance(document, str) else json.dumps(document))
