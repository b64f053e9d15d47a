"""The policies of a deployment's other resources, judged as IAM judges them."""

import json
from dataclasses import replace

import pytest

from infra import resource_policies
from infra.blueprint import Blueprint
from infra.data_bucket.settings import DataSettings
from infra.ec2.settings import Ec2Settings
from infra.encryption.settings import EncryptionSettings
from infra.settings import DeploymentSettings
from stagemaker.access.simulate import simulate_custom_policy
from tests.unit.infra.aws_shapes import check

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
_DATA = DataSettings("photos", "210987654321", "sets")
WITH_DATA = Blueprint(DeploymentSettings(data=_DATA, ec2=Ec2Settings()), "123456789012", "ab" * 32)
CALLER = "arn:aws:sts::123456789012:assumed-role/ann/session"
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


def test_the_owner_of_the_photos_lets_the_roles_of_the_deployment_read_them_and_nobody_else() -> None:
    one, account = resource_policies.data_bucket(WITH_DATA, CALLER), "123456789012"
    roles = f"arn:aws:iam::{account}:role"
    by_role = {"training": True, "deployer": True, "ec2": True, "hosting": False, "lambda": False}
    readers = {f"{roles}/stagemaker-demo-{name}-us-east-1": may for name, may in by_role.items()}
    readers |= {f"{roles}/ann": True, f"{roles}/sso/ann": True, f"{roles}/joann": False}
    for reader, may in readers.items():
        assert may_read(one, reader, "s3:GetObject", "photos/sets/train/a/1.jpg") is may, reader
    training = f"{roles}/stagemaker-demo-training-us-east-1"
    assert may_read(one, training, "s3:ListBucket", "photos", prefix="sets/train/")
    assert not may_read(one, training, "s3:ListBucket", "photos", prefix="")
    for about in ("photos/sets/test/a/1.jpg", "photos/other/train/a/1.jpg"):
        assert not may_read(one, training, "s3:GetObject", about)
    for action in ("s3:PutObject", "s3:DeleteObject"):
        assert not may_read(one, training, action, "photos/sets/train/a/1.jpg")


def may_read(one: resource_policies.ResourcePolicy, caller: str, action: str, about: str, prefix: str = "") -> bool:
    keys = {"aws:ResourceAccount": "210987654321", "aws:PrincipalArn": caller, "s3:prefix": prefix}
    entries = [{"ContextKeyName": k, "ContextKeyValues": [v], "ContextKeyType": "string"} for k, v in keys.items()]
    request = {
        "PolicyInputList": [ALL],
        "ActionNames": [action],
        "ResourceArns": [f"arn:aws:s3:::{about}"],
        "ResourcePolicy": json.dumps(one.policy),
        "ResourceOwner": "arn:aws:iam::210987654321:root",
        "CallerArn": caller.replace(":role/", ":user/"),
        "ContextEntries": entries,
    }
    (result,) = simulate_custom_policy(request)["EvaluationResults"]
    return bool(result["EvalDecision"] == "allowed")


@pytest.mark.parametrize(
    ("caller", "added"),
    [
        ("", []),
        ("arn:aws:iam::123456789012:user/ann", ["arn:aws:iam::123456789012:user/ann"]),
        (
            "arn:aws-cn:sts::123456789012:assumed-role/ann/session",
            ["arn:aws-cn:iam::123456789012:role/ann", "arn:aws-cn:iam::123456789012:role/*/ann"],
        ),
    ],
)
def test_who_calls_now_is_named_too(caller: str, added: list[str]) -> None:
    for statement in resource_policies.data_bucket(WITH_DATA, caller).statements:
        assert list(statement.condition["ArnLike"]["aws:PrincipalArn"])[3:] == added


def test_without_a_bucket_of_another_account_there_is_no_policy_of_it() -> None:
    assert resource_policies.data_bucket(BLUEPRINT).statements == ()


def test_the_gateway_endpoint_lets_the_photos_through() -> None:
    resources = {one.sid: one.resources for one in resource_policies.s3_endpoint(WITH_DATA).statements}
    assert resources["ListDataOfAnother"] == ("arn:aws:s3:::photos",)
    assert resources["ReadDataOfAnother"] == tuple(f"arn:aws:s3:::photos/sets/{name}/*" for name in ("train", "valid"))
    assert "ListDataOfAnother" not in {one.sid for one in resource_policies.s3_endpoint(BLUEPRINT).statements}


def with_key(market: str = "on-demand", region: str = "us-east-1") -> Blueprint:
    settings = DeploymentSettings(
        region=region, encryption=EncryptionSettings("alias/dogs"), ec2=Ec2Settings(market=market)
    )
    return Blueprint(settings, "123456789012", "")


def test_cloudwatch_logs_may_use_the_key_for_the_deployment_s_own_log_groups_alone() -> None:
    """As "Encrypt log data in CloudWatch Logs" of its guide has the statement."""
    one = resource_policies.key(with_key())
    check("kms", "PutKeyPolicy", {"KeyId": "k", "PolicyName": "default", "Policy": json.dumps(one.policy)})
    (statement,) = one.policy["Statement"]
    assert statement["Principal"] == {"Service": "logs.us-east-1.amazonaws.com"}
    assert statement["Resource"] == "*"
    groups = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    assert groups == [
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/stagemaker-demo*",
        "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/stagemaker-demo-proxy",
    ]
    (chinese,) = resource_policies.key(with_key(region="cn-north-1")).policy["Statement"]
    assert chinese["Principal"] == {"Service": "logs.cn-north-1.amazonaws.com.cn"}


def test_ec2_s_own_role_may_use_the_key_for_spot_instances_alone() -> None:
    role = "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    _, uses, grants = resource_policies.key(with_key("spot")).statements
    assert uses.document["Principal"] == grants.document["Principal"] == {"AWS": [role]}
    assert (grants.actions, grants.condition) == (
        ("kms:CreateGrant",),
        {"Bool": {"kms:GrantIsForAWSResource": "true"}},
    )
    assert len(resource_policies.key(with_key()).statements) == 1


def test_without_a_key_nothing_is_said_of_its_policy() -> None:
    assert resource_policies.key(BLUEPRINT).statements == ()


def test_the_owner_of_the_photos_key_lets_those_decrypt_who_read_them_by_s3_alone() -> None:
    account, key = "123456789012", "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    settings = replace(WITH_DATA.settings, data=replace(_DATA, kms_key_arn=key))
    one = resource_policies.data_key(replace(WITH_DATA, settings=settings), CALLER)
    check("kms", "PutKeyPolicy", {"KeyId": "k", "PolicyName": "default", "Policy": json.dumps(one.policy)})
    assert (one.name, [statement.resources for statement in one.statements]) == (key, [("*",)])
    roles = f"arn:aws:iam::{account}:role"
    photo = "arn:aws:s3:::photos/sets/train/a/1.jpg"
    for reader, service, about, may in (
        (f"{roles}/stagemaker-demo-training-us-east-1", "s3", photo, True),
        (f"{roles}/stagemaker-demo-ec2-us-east-1", "s3", photo, True),
        (f"{roles}/ann", "s3", photo, True),
        (f"{roles}/stagemaker-demo-training-us-east-1", "s3", "arn:aws:s3:::photos", True),  # with a bucket key
        (f"{roles}/stagemaker-demo-hosting-us-east-1", "s3", photo, False),
        (f"{roles}/stagemaker-demo-training-us-east-1", "ec2", photo, False),
        (f"{roles}/stagemaker-demo-training-us-east-1", "s3", "arn:aws:s3:::photos/other/1.jpg", False),
    ):
        keys = {
            "aws:PrincipalArn": reader,
            "kms:ViaService": f"{service}.us-east-1.amazonaws.com",
            "kms:EncryptionContext:aws:s3:arn": about,
        }
        request = {
            "PolicyInputList": [ALL],
            "ActionNames": ["kms:Decrypt"],
            "ResourceArns": [key],
            "ResourcePolicy": json.dumps(one.policy),
            "ResourceOwner": "arn:aws:iam::210987654321:root",
            "CallerArn": reader.replace(":role/", ":user/"),
            "ContextEntries": [
                {"ContextKeyName": k, "ContextKeyValues": [v], "ContextKeyType": "string"} for k, v in keys.items()
            ],
        }
        (result,) = simulate_custom_policy(request)["EvaluationResults"]
        assert (result["EvalDecision"] == "allowed") is may, (reader, service, about)


def test_photos_without_a_key_need_no_policy_of_one() -> None:
    assert resource_policies.data_key(WITH_DATA, CALLER).statements == ()
    assert list(resource_policies.of_others(WITH_DATA)) == ["data-bucket"]
