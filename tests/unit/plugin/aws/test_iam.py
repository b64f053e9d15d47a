"""Which trust policies let SageMaker assume a role."""

from typing import Any

import pytest

from stagemaker.aws.iam import may_assume

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/stage"
JOB = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:training-job/job"
ALLOW = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}


def trust(**changes: Any) -> dict[str, Any]:
    """A trust policy of one statement."""
    return {"Version": "2012-10-17", "Statement": [{**ALLOW, **changes}]}


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, True),
        ({"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}, True),
        ("*", True),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False),
    ],
)
def test_trust(principal: Any, trusted: bool) -> None:
    assert may_assume(trust(Principal=principal), ROLE, JOB) is trusted
    assert may_assume({"Statement": {**ALLOW, "Principal": principal}}, ROLE, JOB) is trusted
    assert not may_assume(trust(Principal=principal, Effect="Deny"), ROLE, JOB)


@pytest.mark.parametrize(
    ("changes", "trusted"),
    [
        ({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}}, False),
        ({"Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:sagemaker:*:{ACCOUNT}:*"}}}, True),
        ({"Condition": {"ArnEquals": {"aws:SourceArn": f"{JOB}-2"}}}, False),
        ({"Action": "sts:*"}, True),
        ({"Action": "sts:TagSession"}, False),
    ],
)
def test_the_conditions_and_actions_of_a_trust_policy_count(changes: dict[str, Any], trusted: bool) -> None:
    assert may_assume(trust(**changes), ROLE, JOB) is trusted


def test_a_statement_that_denies_wins() -> None:
    assert not may_assume({"Version": "2012-10-17", "Statement": [ALLOW, {**ALLOW, "Effect": "Deny"}]}, ROLE, JOB)


def test_a_trust_policy_that_cannot_be_read_trusts_nobody() -> None:
    assert not may_assume("{", ROLE, JOB)
