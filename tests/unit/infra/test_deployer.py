"""The deployer's role: what AWS knows, and no more than the project's."""

import json
import re
from dataclasses import replace

import botocore
import botocore.session
import pytest

from infra import explain, roles
from infra.blueprint import Blueprint
from infra.data_bucket.settings import DataSettings
from infra.deployer import LISTS, NOT_IN_EVERY_DEPLOYMENT, deployer
from infra.ec2.settings import Ec2Settings
from infra.encryption.settings import EncryptionSettings
from infra.image_settings import ImageSettings
from infra.paths import CHECKOUT
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
GOVERNMENT = Blueprint(DeploymentSettings(project="a" * 20, region="us-gov-west-1"), "123456789012", "ef" * 32)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)

ALL = replace(
    GOVERNMENT.settings,
    encryption=EncryptionSettings("alias/dogs"),
    images=ImageSettings(kms_key="alias/images"),
    data=DataSettings("photos-of-others", "210987654321", "sets/dogImages"),
    ec2=Ec2Settings(market="spot"),
)
WITH_ALL = replace(GOVERNMENT, settings=ALL)


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST, GOVERNMENT, WITH_ALL])
def test_aws_takes_it(blueprint: Blueprint) -> None:
    role = deployer(blueprint)
    check("iam", "CreateRole", {"RoleName": role.name, "AssumeRolePolicyDocument": json.dumps(role.trust)})
    policy = json.dumps(role.policy, separators=(",", ":"))
    check("iam", "PutRolePolicy", {"RoleName": role.name, "PolicyName": roles.POLICY_NAME, "PolicyDocument": policy})
    parts = explain.managed(role)
    assert bool(parts) is (len(policy) > 10_240), "IAM's limit for a role's inline policies, without white space"
    assert not parts or [one for part in parts for one in part["Statement"]] == role.policy["Statement"]
    for part in parts:
        text = json.dumps(part, separators=(",", ":"))
        check("iam", "CreatePolicy", {"PolicyName": "p", "PolicyDocument": text})
        assert len(text) <= 6_144, "IAM's limit for a managed policy"
    assert len(parts) <= 10, "managed policies of a role"


def test_the_accounts_own_users_and_roles_may_take_it() -> None:
    (statement,) = deployer(BLUEPRINT).trust["Statement"]
    assert statement["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}


def test_all_resources_are_open_only_to_what_reads() -> None:
    for statement in deployer(BLUEPRINT).statements:
        if "*" in statement.resources:
            assert set(statement.actions) <= {*LISTS, "ecr:GetAuthorizationToken"}
    assert all(re.match(r"[a-z0-9-]+:(List|Describe|Get)", action) for action in LISTS)


def test_a_role_goes_to_its_service_alone_and_only_the_deployments_own() -> None:
    passed = {one.sid: one for one in deployer(BLUEPRINT).statements if "iam:PassRole" in one.actions}
    assert {sid: one.condition["StringEquals"]["iam:PassedToService"] for sid, one in passed.items()} == {
        "PassToSageMaker": "sagemaker.amazonaws.com",
        "PassToLambda": "lambda.amazonaws.com",
        "PassToEc2": "ec2.amazonaws.com",
    }
    assert {about for one in passed.values() for about in one.resources} == {
        BLUEPRINT.role_arn(purpose) for purpose in roles.ROLES
    }


def test_what_ec2_has_is_changed_only_with_the_projects_tag() -> None:
    (changing,) = (one for one in deployer(BLUEPRINT).statements if one.sid == "ChangeTagged")
    assert changing.condition == {"StringEquals": {"aws:ResourceTag/stagemaker:project": "stagemaker-demo"}}


def test_what_not_every_deployment_uses_is_granted() -> None:
    statements = deployer(BLUEPRINT).statements
    granted = {one.sid for one in statements} | {action for one in statements for action in one.actions}
    assert NOT_IN_EVERY_DEPLOYMENT.keys() <= granted
    assert all(one.reason for one in statements)


def test_a_key_is_used_by_the_services_that_need_it_alone() -> None:
    settings = DeploymentSettings(
        encryption=EncryptionSettings("1234abcd-12ab-34cd-56ef-1234567890ab"),
        images=ImageSettings(kms_key="alias/images"),
        ec2=Ec2Settings(),
    )
    found, without_host = (
        {
            one.sid: one
            for one in deployer(Blueprint(each, "123456789012", "")).statements
            if one.actions[0].startswith("kms:")
        }
        for each in (settings, replace(settings, ec2=None))
    )
    assert found.keys() - without_host.keys() == {"EncryptHostVolumes", "LetHostVolumesUseKey"}
    services = {sid: one.condition.get("StringEquals", {}).get("kms:ViaService", "") for sid, one in found.items()}
    assert services == {
        "EncryptRepositories": "ecr.us-east-1.amazonaws.com",
        "LookUpKey": "",
        "UseKeyInS3": "s3.us-east-1.amazonaws.com",
        "EncryptVolumes": "sagemaker.us-east-1.amazonaws.com",
        "EncryptVariables": "lambda.us-east-1.amazonaws.com",
        "UseKeyInLogs": "logs.us-east-1.amazonaws.com",
        "EncryptHostVolumes": "ec2.us-east-1.amazonaws.com",
        "LetHostVolumesUseKey": "ec2.us-east-1.amazonaws.com",
    }
    of_images = found.pop("EncryptRepositories")
    assert of_images.condition["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/images"}
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert {one.resources for one in found.values()} == {(key,)}
    assert not [one for one in deployer(BLUEPRINT).statements if one.actions[0].startswith("kms:")]
    grants = [one for one in found.values() if one.actions == ("kms:CreateGrant",)]
    assert all(one.condition["Bool"] == {"kms:GrantIsForAWSResource": "true"} for one in grants)
    assert len(grants) == 2


def test_log_groups_are_made_and_get_a_key_only_with_encryption() -> None:
    """Without it what writes to them makes them; the key of one that still has one is taken off."""
    with_key, plain = ({one.sid: one for one in deployer(each).statements} for each in (WITH_ALL, GOVERNMENT))
    assert "logs:AssociateKmsKey" in with_key["LogsWithKey"].actions
    assert "LogsWithKey" not in plain
    assert "logs:DisassociateKmsKey" in plain["OwnLogs"].actions


def test_log_groups_of_the_whole_account_are_neither_changed_nor_deleted() -> None:
    of_account = "log-group:/aws/sagemaker/(TrainingJobs|NotebookInstances):"
    touching = [one for one in deployer(WITH_ALL).statements if any(re.search(of_account, to) for to in one.resources)]
    assert {action for one in touching for action in one.actions} == {
        "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:DeleteLogStream",
    }  # fmt: skip


@pytest.mark.parametrize(("market", "makes"), [("spot", True), ("on-demand", False)])
def test_the_first_spot_instance_makes_ec2_s_own_role(market: str, *, makes: bool) -> None:
    settings = DeploymentSettings(ec2=Ec2Settings(market=market))
    found = {one.sid: one for one in deployer(Blueprint(settings, "123456789012", "")).statements}
    assert ("SpotRole" in found) is makes
    if makes:
        role = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        assert found["SpotRole"].resources == (f"arn:aws:iam::123456789012:{role}",)


# The services that infra calls, with what their actions begin with; operations that ask for another action; those of
# Python's `re`, and those that need no right. `make load`, rehearsals and `make policy` are not the deployer's.
PREFIXES = {
    "application-autoscaling": "application-autoscaling", "ec2": "ec2", "ecr": "ecr", "iam": "iam", "kms": "kms",
    "lambda": "lambda", "logs": "logs", "pricing": "pricing", "resourcegroupstaggingapi": "tag", "s3": "s3",
    "sagemaker": "sagemaker", "sagemaker-runtime": "sagemaker", "service-quotas": "servicequotas", "ssm": "ssm",
    "sts": "sts",
}  # fmt: skip
OTHER_ACTIONS = {
    "copy_object": "s3:PutObject", "delete_objects": "s3:DeleteObject", "head_object": "s3:GetObject",
    "list_objects_v2": "s3:ListBucket", "invoke": "lambda:InvokeFunction",
    "get_bucket_encryption": "s3:GetEncryptionConfiguration", "put_bucket_encryption": "s3:PutEncryptionConfiguration",
    "get_bucket_lifecycle_configuration": "s3:GetLifecycleConfiguration",
    "put_bucket_lifecycle_configuration": "s3:PutLifecycleConfiguration",
    "get_public_access_block": "s3:GetBucketPublicAccessBlock",
    "put_public_access_block": "s3:PutBucketPublicAccessBlock",
}  # fmt: skip
NO_CALLS = ("search", "get_caller_identity")
NOT_OF_THE_DEPLOYER = ("load", "rehearse", "hosts", "policy.py")


def test_whatever_its_commands_call_it_may_call() -> None:
    session, by_name = botocore.session.get_session(), dict[str, set[str]]()
    for service, prefix in PREFIXES.items():
        for operation in session.get_service_model(service).operation_names:
            by_name.setdefault(botocore.xform_name(operation), set()).add(f"{prefix}:{operation}".lower())
    allowed = {action.lower() for one in deployer(WITH_ALL).statements for action in one.actions}
    folder = CHECKOUT / "infra"
    called = {
        found
        for path in folder.rglob("*.py")
        if path.relative_to(folder).parts[0] not in NOT_OF_THE_DEPLOYER
        for pair in re.findall(r'\.([a-z_0-9]+)\b|"([a-z_0-9]+)"', path.read_text())
        for found in pair
        if found in by_name and found not in NO_CALLS
    }
    assert len(called) > 100
    refused = [
        one
        for one in sorted(called)
        if not ({OTHER_ACTIONS[one].lower()} if one in OTHER_ACTIONS else by_name[one]) & allowed
    ]
    assert refused == []
