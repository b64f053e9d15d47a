"""The deployer's role: what AWS knows, and no more than the project's."""

import json
import re

import pytest

from infra import roles
from infra.blueprint import Blueprint
from infra.deployer import LISTS, NOT_IN_EVERY_DEPLOYMENT, deployer
from infra.encryption.settings import EncryptionSettings
from infra.image_settings import ImageSettings
from infra.settings import DeploymentSettings
from tests.unit.infra.aws_shapes import check

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
GOVERNMENT = Blueprint(DeploymentSettings(project="a" * 20, region="us-gov-west-1"), "123456789012", "ef" * 32)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST, GOVERNMENT])
def test_aws_takes_it(blueprint: Blueprint) -> None:
    role = deployer(blueprint)
    check("iam", "CreateRole", {"RoleName": role.name, "AssumeRolePolicyDocument": json.dumps(role.trust)})
    policy = json.dumps(role.policy, separators=(",", ":"))
    check("iam", "PutRolePolicy", {"RoleName": role.name, "PolicyName": roles.POLICY_NAME, "PolicyDocument": policy})
    assert len(policy) < 10_240, "IAM's limit for a role's inline policies, without white space"


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
    )
    found = {
        one.sid: one
        for one in deployer(Blueprint(settings, "123456789012", "")).statements
        if one.actions[0].startswith("kms:")
    }
    services = {sid: one.condition.get("StringEquals", {}).get("kms:ViaService", "") for sid, one in found.items()}
    assert services == {
        "EncryptRepositories": "ecr.us-east-1.amazonaws.com",
        "LookUpKey": "",
        "UseKeyInS3": "s3.us-east-1.amazonaws.com",
        "EncryptVolumes": "sagemaker.us-east-1.amazonaws.com",
        "EncryptVariables": "lambda.us-east-1.amazonaws.com",
    }
    of_images = found.pop("EncryptRepositories")
    assert of_images.condition["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/images"}
    key = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert {one.resources for one in found.values()} == {(key,)}
    assert not [one for one in deployer(BLUEPRINT).statements if one.actions[0].startswith("kms:")]
