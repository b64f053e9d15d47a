"""IAM's policy simulator over the policies that IAM has: the first call of SDK 3's ModelTrainer."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contract.gateway import Gateway

ACCOUNT = "000000000000"
OBJECT = "arn:aws:s3:::data/train/1"


def document(effect: str = "Allow", action: str = "s3:GetObject", resource: str = "arn:aws:s3:::data/*") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture(scope="module")
def boundary(iam: Any) -> str:
    arn: str = iam.create_policy(PolicyName="sim-bound", PolicyDocument=document(action="sqs:*", resource="*"))[
        "Policy"
    ]["Arn"]
    return arn


@pytest.fixture
def role(iam: Any) -> Iterator[str]:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="sim", Path="/a/b/", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    yield "sim"
    for name in iam.list_role_policies(RoleName="sim")["PolicyNames"]:
        iam.delete_role_policy(RoleName="sim", PolicyName=name)
    for policy in iam.list_attached_role_policies(RoleName="sim")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="sim", PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName="sim")


def decisions(iam: Any, arn: str, *actions: str, **more: Any) -> dict[str, str]:
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(actions), **more)
    return {result["EvalActionName"]: result["EvalDecision"] for result in answer["EvaluationResults"]}


ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/a/b/sim"
TWO = ("s3:GetObject", "sqs:SendMessage")


def test_a_role_without_a_policy_may_nothing_and_needs_no_resource_arns(iam: Any, role: str) -> None:
    assert role
    assert decisions(iam, ROLE_ARN, *TWO) == dict.fromkeys(TWO, "implicitDeny")


def test_inline_and_attached_policies_count(iam: Any, role: str, boundary: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="data", PolicyDocument=document())
    iam.attach_role_policy(RoleName=role, PolicyArn=boundary)
    found = decisions(iam, ROLE_ARN, *TWO, "s3:PutObject", ResourceArns=[OBJECT])
    assert found == {"s3:GetObject": "allowed", "sqs:SendMessage": "allowed", "s3:PutObject": "implicitDeny"}


def test_a_statement_that_matched_is_named(iam: Any, role: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="data", PolicyDocument=document())
    answer = iam.simulate_principal_policy(
        PolicySourceArn=ROLE_ARN, ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::data/*"]
    )
    (result,) = answer["EvaluationResults"]
    assert result["EvalResourceName"] == "arn:aws:s3:::data/*"
    assert result["MatchedStatements"][0]["SourcePolicyId"] == "role_sim_data"
    assert answer["IsTruncated"] is False


def test_a_boundary_limits_what_a_role_may(iam: Any, role: str, boundary: str) -> None:
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=document(action="*", resource="*"))
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    assert decisions(iam, ROLE_ARN, *TWO) == {"s3:GetObject": "implicitDeny", "sqs:SendMessage": "allowed"}
    iam.delete_role_permissions_boundary(RoleName=role)


def test_the_groups_of_a_user_count(iam: Any) -> None:
    iam.create_user(UserName="sim-user")
    iam.create_group(GroupName="sim-group")
    iam.add_user_to_group(UserName="sim-user", GroupName="sim-group")
    iam.put_group_policy(GroupName="sim-group", PolicyName="data", PolicyDocument=document(resource="*"))
    user, group = (f"arn:aws:iam::{ACCOUNT}:{kind}/sim-{kind}" for kind in ("user", "group"))
    for arn in (user, group):
        assert decisions(iam, arn, *TWO) == {"s3:GetObject": "allowed", "sqs:SendMessage": "implicitDeny"}


def test_policies_of_aws_count(iam: Any, role: str) -> None:
    iam.attach_role_policy(RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    actions = ("sagemaker:CreateTrainingJob", "logs:PutLogEvents", "ec2:RunInstances")
    assert decisions(iam, ROLE_ARN, *actions) == {
        "sagemaker:CreateTrainingJob": "allowed",
        "logs:PutLogEvents": "allowed",
        "ec2:RunInstances": "implicitDeny",
    }


def test_policies_of_the_request_are_simulated_alone(iam: Any) -> None:
    answer = iam.simulate_custom_policy(
        PolicyInputList=[document(), document("Deny", "s3:*", "arn:aws:s3:::data/secret/*")],
        ActionNames=["s3:GetObject"],
        ResourceArns=[OBJECT, "arn:aws:s3:::data/secret/1"],
    )
    assert [result["EvalDecision"] for result in answer["EvaluationResults"]] == ["allowed", "explicitDeny"]


@pytest.mark.parametrize(
    ("arn", "code", "status"),
    [
        (f"arn:aws:iam::{ACCOUNT}:role/none", "NoSuchEntity", 404),
        (f"arn:aws:iam::{ACCOUNT}:user/none", "NoSuchEntity", 404),
        (f"arn:aws:iam::{ACCOUNT}:root-of-all-things", "InvalidInput", 400),
        ("arn:aws:iam::111111111111:role/sim", "InvalidInput", 400),
    ],
)
def test_who_is_not_there_is_named(iam: Any, arn: str, code: str, status: int) -> None:
    with pytest.raises(ClientError) as caught:
        decisions(iam, arn, "s3:GetObject")
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert arn.rpartition("/")[2] in error["Error"]["Message"]
