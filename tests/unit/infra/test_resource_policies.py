"""The policies of a deployment's other resources, judged as IAM judges them."""

import json

import pytest

from infra import resource_policies
from infra.blueprint import Blueprint
from infra.settings import DeploymentSettings
from stagemaker.access.simulate import simulate_custom_policy

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
ALL = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


@pytest.mark.parametrize(("secure", "decision"), [("true", "allowed"), ("false", "explicitDeny")])
def test_without_tls_nobody_reads_or_lists(secure: str, decision: str) -> None:
    one = resource_policies.bucket(BLUEPRINT)
    for action, about in (("s3:GetObject", "/data/a.png"), ("s3:PutObject", "/models/m"), ("s3:ListBucket", "")):
        transport = {"ContextKeyName": "aws:SecureTransport", "ContextKeyValues": [secure], "ContextKeyType": "boolean"}
        request = {
            "PolicyInputList": [ALL],
            "ActionNames": [action],
            "ResourceArns": [f"{BLUEPRINT.bucket_arn}{about}"],
            "ResourcePolicy": json.dumps(one.policy),
            "CallerArn": "arn:aws:iam::123456789012:user/ann",
            "ContextEntries": [transport],
        }
        (result,) = simulate_custom_policy(request)["EvaluationResults"]
        assert result["EvalDecision"] == decision


def test_every_statement_has_its_reason() -> None:
    for policy_of in resource_policies.POLICIES.values():
        assert all(statement.reason for statement in policy_of(BLUEPRINT).statements)
