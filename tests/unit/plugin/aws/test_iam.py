"""Which trust policies let SageMaker assume a role."""

from typing import Any

import pytest

from stagemaker.aws.iam import trusts_sagemaker


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, True),
        ({"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}, True),
        ("*", True),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, False),
    ],
)
def test_trust(principal: Any, trusted: bool) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    assert trusts_sagemaker({"Version": "2012-10-17", "Statement": [statement]}) is trusted
    assert trusts_sagemaker({"Statement": statement}) is trusted
    assert not trusts_sagemaker({"Statement": [{**statement, "Effect": "Deny"}]})
