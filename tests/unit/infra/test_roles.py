"""What each role may do: no more than what its service does for the deployment."""

import json
from dataclasses import replace

import pytest

from infra import roles
from infra.blueprint import Blueprint
from infra.data_bucket.settings import DataSettings
from infra.deployer import deployer
from infra.encryption.settings import EncryptionSettings
from infra.notebook.settings import NotebookSettings
from infra.roles import NOT_IN_EVERY_RUN, ROLES, Conditions, Role, Statement
from infra.settings import DeploymentSettings, EndpointSettings, FunctionSettings, ModelSettings, TrainingSettings
from tests.unit.infra.aws_shapes import check

BLUEPRINT = Blueprint(DeploymentSettings(), "123456789012", "ab" * 32)
LONGEST = Blueprint(DeploymentSettings(project="a" * 20, region="ap-northeast-1"), "123456789012", "cd" * 32)
# AWS's list gives these actions none, only what an EC2 instance or a session is, or what nobody knows before.
NO_RESOURCES = {
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    *roles.SESSION_MANAGER,
    *roles.NOTEBOOK_LISTS,
}


def allowed(role: Role) -> dict[str, Statement]:
    return {statement.sid: statement for statement in role.statements}


@pytest.mark.parametrize("blueprint", [BLUEPRINT, LONGEST])
@pytest.mark.parametrize("purpose", ROLES)
def test_aws_takes_it(blueprint: Blueprint, purpose: str) -> None:
    role = ROLES[purpose](blueprint)
    assert blueprint.role_arn(purpose).endswith(f":role/{role.name}")
    check("iam", "CreateRole", {"RoleName": role.name, "AssumeRolePolicyDocument": json.dumps(role.trust)})
    policy = json.dumps(role.policy)
    check("iam", "PutRolePolicy", {"RoleName": role.name, "PolicyName": roles.POLICY_NAME, "PolicyDocument": policy})
    assert len(policy) < 10_240, "IAM's limit for a role's inline policies"


@pytest.mark.parametrize("purpose", ROLES)
def test_no_role_may_do_everything_or_touch_everything(purpose: str) -> None:
    for statement in ROLES[purpose](BLUEPRINT).statements:
        assert not any("*" in action for action in statement.actions)
        if "*" in statement.resources:
            assert set(statement.actions) <= NO_RESOURCES


@pytest.mark.parametrize("purpose", ROLES)
def test_every_statement_has_a_reason_and_a_name_of_its_own(purpose: str) -> None:
    statements = ROLES[purpose](BLUEPRINT).statements
    assert all(statement.reason for statement in statements)
    assert len({statement.sid for statement in statements}) == len(statements)


@pytest.mark.parametrize("purpose", ROLES)
def test_a_role_trusts_only_its_service(purpose: str) -> None:
    (statement,) = ROLES[purpose](BLUEPRINT).trust["Statement"]
    service = {"lambda": "lambda", "ec2": "ec2"}.get(purpose, "sagemaker")
    assert statement["Principal"] == {"Service": f"{service}.amazonaws.com"}


def test_the_function_may_only_invoke_its_endpoint_and_write_its_log() -> None:
    statements = allowed(roles.function(BLUEPRINT))
    assert statements.keys() == {"InvokeOneEndpoint", "WriteLogs"}
    assert statements["InvokeOneEndpoint"].document == {
        "Sid": "InvokeOneEndpoint",
        "Effect": "Allow",
        "Action": ["sagemaker:InvokeEndpoint"],
        "Resource": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/stagemaker-demo",
    }


def test_training_writes_models_and_hosting_only_reads_them() -> None:
    models = f"arn:aws:s3:::{BLUEPRINT.bucket}/models/*"
    features = f"arn:aws:s3:::{BLUEPRINT.bucket}/features/*"
    assert allowed(roles.training(BLUEPRINT))["WriteModels"].resources == (models, features)
    assert models not in allowed(roles.training(BLUEPRINT))["ReadData"].resources
    assert not [one for one in roles.hosting(BLUEPRINT).statements if "s3:PutObject" in one.actions]


def test_only_training_on_spot_instances_keeps_checkpoints() -> None:
    models = (ModelSettings("one"), ModelSettings("two", TrainingSettings(spot=True)))
    role = roles.training(replace(BLUEPRINT, settings=DeploymentSettings(models=models)))
    check("iam", "PutRolePolicy", {"RoleName": "r", "PolicyName": "p", "PolicyDocument": json.dumps(role.policy)})
    assert allowed(role)["KeepCheckpoints"].resources == (f"arn:aws:s3:::{BLUEPRINT.bucket}/checkpoints/*",)
    assert "checkpoints/*" in allowed(role)["ListOwnBucket"].condition["StringLike"]["s3:prefix"]
    assert "KeepCheckpoints" not in allowed(roles.training(BLUEPRINT))


def test_roles_of_several_models() -> None:
    models = (ModelSettings("one"), ModelSettings("two"))
    settings = replace(BLUEPRINT.settings, models=models, function=FunctionSettings(model="two"))
    blueprint = replace(BLUEPRINT, settings=settings)
    (endpoint,) = allowed(roles.function(blueprint))["InvokeOneEndpoint"].resources
    assert endpoint.endswith(":endpoint/stagemaker-demo-two")
    groups = allowed(roles.hosting(blueprint))["WriteLogs"].resources
    assert [group.split(":")[-2] for group in groups] == [
        f"/aws/sagemaker/Endpoints/stagemaker-demo-{name}" for name in ("one", "two")
    ]


def test_what_not_every_run_uses_is_granted_by_a_role() -> None:
    granted = [
        (action, about)
        for role in ROLES.values()
        for statement in role(BLUEPRINT).statements
        for action in statement.actions
        for about in (*statement.resources, *(str(keys) for keys in statement.condition.values()))
    ]
    for action, end in NOT_IN_EVERY_RUN:
        assert any(one == action and about.rstrip("'}").endswith(end) for one, about in granted), (action, end)


def test_the_ec2_host_writes_only_below_its_own_folder() -> None:
    statements = allowed(roles.ec2(BLUEPRINT))
    assert statements["WriteResults"].resources == (f"arn:aws:s3:::{BLUEPRINT.bucket}/models/ec2/*",)
    assert statements["PullImage"].resources == (BLUEPRINT.arn("ecr", "repository/stagemaker/trainer"),)
    listed = statements["ListOwnBucket"].condition["StringLike"]["s3:prefix"]
    assert listed == ["data/*", "pretrained/*", "models/ec2/*"]
    assert not any(action.startswith("ssm:Get") for action in statements["OpenSessions"].actions)


def test_the_notebook_touches_only_what_its_names_begin() -> None:
    statements = allowed(roles.notebook(BLUEPRINT))
    assert all("/stagemaker-demo-nb-" in each for each in statements["TrainAndDeploy"].resources)
    assert statements["OwnBucket"].resources == ("arn:aws:s3:::stagemaker-demo-nb-123456789012-us-east-1",)
    assert statements["FetchNotebook"].resources == (f"arn:aws:s3:::{BLUEPRINT.bucket}/notebook/*",)
    assert BLUEPRINT.bucket not in statements["OwnBucket"].resources[0]
    (itself,) = statements["PassItself"].resources
    assert itself == BLUEPRINT.role_arn("notebook")
    longest = allowed(roles.notebook(LONGEST))["TrainAndDeploy"].resources
    assert all(f"/{'a' * 17}-nb-*" in each for each in longest)  # a tuning job's name keeps 20 characters of it
    assert "AttachNetwork" not in statements


def test_a_notebook_in_a_subnet_may_attach_it() -> None:
    network = NotebookSettings(subnet="subnet-1", security_groups=("sg-1",))
    role = roles.notebook(replace(LONGEST, settings=replace(LONGEST.settings, notebook=network)))
    assert allowed(role)["AttachNetwork"].actions == roles.ATTACH_NETWORK
    assert len(json.dumps(role.policy)) < 10_240


def test_photos_of_another_account_are_read_by_who_trains_and_by_who_deploys_alone() -> None:
    data = DataSettings("photos", "210987654321", "sets")
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=data))
    below = [f"sets/{channel}/*" for channel in ("train", "valid")]
    owned = {"aws:ResourceAccount": "210987654321"}
    for role_of in (roles.training, roles.ec2, deployer):
        statements = allowed(role_of(blueprint))
        listing, reading = statements["ListDataOfAnother"], statements["ReadDataOfAnother"]
        assert (listing.actions, listing.resources) == (("s3:ListBucket",), ("arn:aws:s3:::photos",))
        assert listing.condition == {"StringEquals": owned, "StringLike": {"s3:prefix": below}}
        assert (reading.actions, reading.condition) == (("s3:GetObject",), {"StringEquals": owned})
        assert reading.resources == tuple(f"arn:aws:s3:::photos/{each}" for each in below)
    for role_of in (roles.training, roles.ec2):
        own = json.dumps(role_of(blueprint).policy)
        assert f"{blueprint.bucket}/data/" not in own
        assert '"data/*"' not in own
    for name in ("lambda", "notebook"):
        assert ROLES[name](blueprint) == ROLES[name](BLUEPRINT)
    assert "ReadPhotos" in allowed(roles.hosting(BLUEPRINT))
    assert "ReadPhotos" not in allowed(roles.hosting(blueprint)), "its owner lets no endpoint read them"


def test_the_key_of_these_photos_is_used_by_who_reads_them_by_s3_alone() -> None:
    key = "arn:aws:kms:us-east-1:210987654321:key/5678abcd-12ab-34cd-56ef-1234567890ab"
    data = DataSettings("photos", "210987654321", "sets", key)
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=data))
    photos = ["arn:aws:s3:::photos", *(f"arn:aws:s3:::photos/sets/{channel}/*" for channel in ("train", "valid"))]
    for role_of in (roles.training, roles.ec2, deployer):
        statement = allowed(role_of(blueprint))["DecryptDataOfAnother"]
        assert (statement.actions, statement.resources) == (("kms:Decrypt",), (key,))
        assert statement.condition == {
            "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": photos},
        }
    for name in ("hosting", "lambda", "notebook"):
        assert "kms:" not in json.dumps(ROLES[name](blueprint).policy)


KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ENCRYPTED = replace(
    BLUEPRINT, key=KEY, settings=replace(BLUEPRINT.settings, encryption=EncryptionSettings("alias/dogs"))
)


def of_key(role: Role) -> dict[str, tuple[tuple[str, ...], Conditions]]:
    """The statements about the key, which each name it alone."""
    found = {one.sid: one for one in role.statements if one.actions[0].startswith("kms:")}
    assert all(one.resources == (KEY,) for one in found.values())
    return {sid: (one.actions, one.condition) for sid, one in found.items()}


def test_each_role_may_do_with_the_key_what_its_service_does() -> None:
    in_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    grant = (("kms:CreateGrant",), {"Bool": {"kms:GrantIsForAWSResource": "true"}})
    both, read = (("kms:Decrypt", "kms:GenerateDataKey"), in_s3), (("kms:Decrypt",), in_s3)
    output: tuple[tuple[str, ...], Conditions] = (("kms:Encrypt",), {})
    function = "arn:aws:lambda:us-east-1:123456789012:function:stagemaker-demo-proxy"
    context = {"StringLike": {"kms:EncryptionContext:aws:lambda:FunctionArn": [function, f"{function}:*"]}}
    in_logs = {"StringEquals": {"kms:ViaService": "logs.us-east-1.amazonaws.com"}}
    logs: tuple[tuple[str, ...], Conditions] = (("kms:DescribeKey", *both[0]), in_logs)
    assert {purpose: of_key(role(ENCRYPTED)) for purpose, role in ROLES.items()} == {
        "training": {"UseKeyInS3": both, "EncryptOutput": output, "EncryptVolumes": grant},
        "hosting": {"UseKeyInS3": read, "UseKeyInLogs": logs, "EncryptVolumes": grant},
        "lambda": {"ReadVariables": (("kms:Decrypt",), context), "UseKeyInLogs": logs},
        "ec2": {"UseKeyInS3": both},
        "notebook": {"UseKeyInS3": read},
    }


@pytest.mark.parametrize("purpose", ROLES)
def test_aws_takes_it_with_a_key(purpose: str) -> None:
    policy = json.dumps(ROLES[purpose](ENCRYPTED).policy)
    check("iam", "PutRolePolicy", {"RoleName": "r", "PolicyName": roles.POLICY_NAME, "PolicyDocument": policy})
    assert len(policy) < 10_240
    assert "kms:" not in json.dumps(ROLES[purpose](BLUEPRINT).policy)


def test_disks_that_take_no_key_need_no_grant() -> None:
    models = (ModelSettings(training=TrainingSettings("ml.g4dn.xlarge"), endpoint=EndpointSettings("ml.g5.xlarge")),)
    blueprint = replace(ENCRYPTED, settings=replace(ENCRYPTED.settings, models=models))
    assert "EncryptVolumes" not in of_key(roles.training(blueprint)) | of_key(roles.hosting(blueprint))


@pytest.mark.parametrize(
    ("name", "resource", "alias"),
    [
        ("alias/dogs", "arn:aws:kms:us-east-1:123456789012:key/*", "alias/dogs"),
        ("arn:aws:kms:us-east-1:999999999999:alias/team/dogs", "arn:aws:kms:us-east-1:999999999999:key/*",
         "alias/team/dogs"),
        ("1234abcd-12ab-34cd-56ef-1234567890ab", KEY, None),
        (KEY, KEY, None),
    ],
)  # fmt: skip
def test_a_key_that_nobody_has_looked_up_is_named_as_the_preset_does(
    name: str, resource: str, alias: str | None
) -> None:
    settings = replace(BLUEPRINT.settings, encryption=EncryptionSettings(name))
    statement = allowed(roles.hosting(replace(BLUEPRINT, settings=settings)))["UseKeyInS3"]
    assert statement.resources == (resource,)
    found = statement.condition.get("ForAnyValue:StringEquals")
    assert found == ({"kms:ResourceAliases": alias} if alias else None)


def test_in_china_services_have_the_partition_s_ending() -> None:
    settings = replace(ENCRYPTED.settings, region="cn-north-1")
    statement = allowed(roles.hosting(replace(ENCRYPTED, settings=settings)))["UseKeyInS3"]
    assert statement.condition["StringEquals"] == {"kms:ViaService": "s3.cn-north-1.amazonaws.com.cn"}
