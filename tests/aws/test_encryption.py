"""A deployment with a key of KMS against a strict stage: the key is in each request and description, a second
deployment changes nothing, and without the key all of it is as if there had been none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from infra.blueprint import TRAINING_LOGS, Image
from infra.deployer import deployer
from infra.ec2.requests import Ami, host_name, launch_template, run_of
from infra.ec2.settings import Ec2Settings
from infra.encryption.lookup import find_key
from infra.encryption.settings import EncryptionSettings
from infra.engine import apply_one
from infra.errors import StepFailed
from infra.resources.bucket import Bucket
from infra.resources.launch_template import LaunchTemplate
from infra.resources.logs import LogGroup
from infra.settings import DeploymentSettings
from stagemaker.access.catalog import find_action
from tests.aws.broken_off import Project
from tests.aws.deployer_keys import blueprint_of
from tests.aws.deploys import PRESET, UNCHANGED, changing, run
from tests.aws.judges import judged
from tests.aws.pretended_aws import REGION, PretendedAws
from tests.aws.rules import Fault
from tests.aws.wire import AwsError
from tests.contract.users import unique


@dataclass(frozen=True)
class Key:
    """A key with an alias that is named like its project."""

    aws: PretendedAws
    arn: str
    alias: str


@pytest.fixture
def key(project: Project) -> Iterator[Key]:
    kms = project.aws.client("kms")
    arn, alias = kms.create_key()["KeyMetadata"]["Arn"], f"alias/{project.name}"
    kms.create_alias(AliasName=alias, TargetKeyId=arn)
    yield Key(project.aws, arn, alias)
    kms.delete_alias(AliasName=alias)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)


def deploys(project: Project, encryption: str) -> str:
    """What a deployment of the project with these lines in its preset says; it must end well."""
    project.preset.write_text(PRESET + encryption)
    project.aws.forget()
    code, said = run(project.aws, *project.deploy)
    assert code == 0, said
    return said


def function_keys(project: Project) -> list[str | None]:
    """The keys of the function and of the version that its alias names."""
    functions, name = project.aws.client("lambda"), {"FunctionName": f"{project.name}-proxy"}
    version = functions.get_alias(**name, Name="live")["FunctionVersion"]
    found = [functions.get_function_configuration(**name, Qualifier=one) for one in ("$LATEST", version)]
    return [one.get("KMSKeyArn") for one in found]


def object_keys(aws: PretendedAws, bucket: str) -> set[str | None]:
    """What the objects of the bucket are encrypted with."""
    s3 = aws.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    return {s3.head_object(Bucket=bucket, Key=name).get("SSEKMSKeyId") for name in keys}


def log_keys(project: Project) -> list[str | None]:
    """The keys of the log groups of endpoint and function."""
    logs, found = project.aws.client("logs"), list[str | None]()
    for name in (f"/aws/sagemaker/Endpoints/{project.name}", f"/aws/lambda/{project.name}-proxy"):
        groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        found += [one.get("kmsKeyId") for one in groups if one["logGroupName"] == name]
    return found


def test_a_deployment_with_a_key_and_then_without(project: Project, key: Key) -> None:
    aws, bucket = project.aws, f"{project.name}-000000000000-{REGION}"
    with_key = f'[encryption]\nkey = "{key.alias}"\n'
    deploys(project, with_key)
    (job,) = [call.members for call in aws.calls("sagemaker", "CreateTrainingJob")]
    assert (job["OutputDataConfig"]["KmsKeyId"], job["ResourceConfig"]["VolumeKmsKeyId"]) == (key.arn, key.arn)
    (configuration,) = [call.members for call in aws.calls("sagemaker", "CreateEndpointConfig")]
    sagemaker = aws.client("sagemaker")
    name = configuration["EndpointConfigName"]
    assert sagemaker.describe_endpoint_config(EndpointConfigName=name)["KmsKeyId"] == key.arn
    assert function_keys(project) == [key.arn, key.arn]
    assert object_keys(aws, bucket) == {key.arn}
    assert log_keys(project) == [key.arn, key.arn]
    first = [call.operation for call in aws.calls() if call.operation in ("CreateLogGroup", "CreateFunction")][:3]
    assert first == ["CreateLogGroup", "CreateLogGroup", "CreateFunction"]
    of_account = aws.client("logs").describe_log_groups(logGroupNamePrefix=TRAINING_LOGS)["logGroups"]
    assert [one.get("kmsKeyId") for one in of_account] == [None], "it is not the deployment's own"

    assert UNCHANGED in deploys(project, with_key)
    assert changing(aws) == []

    check_repair(aws, bucket, project.name, key)
    check_repair_of_logs(project, key, with_key)

    deploys(project, "")
    assert log_keys(project) == [None, None]
    assert aws.calls("sagemaker", "CreateTrainingJob") == []
    found = sagemaker.describe_endpoint(EndpointName=project.name)["EndpointConfigName"]
    assert "KmsKeyId" not in sagemaker.describe_endpoint_config(EndpointConfigName=found)
    assert function_keys(project) == [None, None]
    assert object_keys(aws, bucket) == {None}

    name_of_manifest, encrypted = "manifests/data.json", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key.arn}
    aws.client("s3").put_object(Bucket=bucket, Key=name_of_manifest, Body=b"{}", **encrypted)
    aws.client("kms").disable_key(KeyId=key.arn)
    project.preset.write_text(PRESET + with_key)
    aws.forget()
    code, said = run(aws, *project.deploy)
    assert (code, f"The KMS key {key.arn} is Disabled." in said) == (1, True), said
    assert f"aws kms enable-key --key-id {key.arn}" in said
    assert changing(aws) == []

    code, said = run(aws, *project.destroy)
    assert code == 0, said
    assert aws.client("kms").describe_key(KeyId=key.alias)["KeyMetadata"]["Arn"] == key.arn


def check_repair(aws: PretendedAws, bucket: str, project: str, key: Key) -> None:
    """What somebody changes of the bucket's encryption is put right, and what was written meanwhile too."""
    s3, tags = aws.client("s3"), [{"Key": "stagemaker:project", "Value": project}]
    plain = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=plain)
    s3.put_object(Bucket=bucket, Key="data/train/late.png", Body=b"x", ContentType="image/png")
    one = Bucket(s3, bucket, REGION, tags, key.arn)
    spoilt = one.read()
    assert spoilt is not None
    changes = one.diff(spoilt)
    assert {change.member for change in changes} == {"SSEAlgorithm", "KMSMasterKeyID", "BucketKeyEnabled"}
    one.update(spoilt, changes)
    found = one.read()
    assert found is not None
    assert one.diff(found) == []
    assert object_keys(aws, bucket) == {key.arn}
    late = s3.get_object(Bucket=bucket, Key="data/train/late.png")
    assert (late["Body"].read(), late["ContentType"]) == (b"x", "image/png")
    s3.delete_object(Bucket=bucket, Key="data/train/late.png")


def check_repair_of_logs(project: Project, key: Key, with_key: str) -> None:
    """Another key and none are put right, the lines stay, and a refusal of the key's policy is told with what it
    lacks."""
    aws, groups = project.aws, [f"/aws/sagemaker/Endpoints/{project.name}", f"/aws/lambda/{project.name}-proxy"]
    logs = aws.client("logs")
    logs.disassociate_kms_key(logGroupName=groups[0])
    logs.associate_kms_key(logGroupName=groups[1], kmsKeyId=key.arn.replace("000000000000", "111111111111"))
    said = "The specified KMS key does not exist or is not allowed to be used with Arn 'arn:aws:logs:...'"
    refused = Fault("logs", "AssociateKmsKey", error=AwsError("AccessDeniedException", said))
    with aws.injected(refused):
        code, told = run(aws, *project.deploy)
    assert (code, "CloudWatch Logs may not use the KMS key for the log group" in told) == (1, True), told
    assert "ROLE=key" in told
    assert "for new lines, within 5 minutes" in deploys(project, with_key)
    assert {call.members["logGroupName"] for call in aws.calls("logs", "AssociateKmsKey")} == set(groups)
    assert log_keys(project) == [key.arn, key.arn]


def test_a_host_s_volume_has_the_key_and_then_none_any_more(aws: PretendedAws) -> None:
    """By the launch template, whose default version an instance follows."""
    ec2, key = aws.client("ec2"), f"arn:aws:kms:{REGION}:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    plain = blueprint_of(unique("keys"))
    image = Image("000000000000.dkr.ecr.us-east-1.amazonaws.com/stagemaker/trainer@sha256:" + "ab" * 32, "its layers")
    run, ami = run_of(plain, Ec2Settings(), image), Ami("ami-0abcdef0123456789", "/dev/xvda", 8)

    def template(arn: str) -> LaunchTemplate:
        data = launch_template(replace(plain, key=arn), Ec2Settings(), run, ami)
        return LaunchTemplate(ec2, host_name(plain), data, lambda: None, plain.tags)

    def volume() -> Any:
        (found,) = ec2.describe_launch_template_versions(LaunchTemplateName=host_name(plain), Versions=["$Default"])[
            "LaunchTemplateVersions"
        ]
        return found["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]

    with judged(aws):
        assert apply_one(template(key))[0] == "create"
        assert (volume()["KmsKeyId"], volume()["Encrypted"]) == (key, True)
        other = key.replace("1234abcd-", "5678abcd-")
        assert apply_one(template(other))[0] == "update"
        assert volume()["KmsKeyId"] == other
        assert apply_one(template(other))[0] == "unchanged"
        assert apply_one(template(""))[0] == "update"
        assert ("KmsKeyId" in volume(), volume()["Encrypted"]) == (False, True)
        template("").delete()


def test_a_log_group_s_key_is_made_changed_and_taken_off_as_the_judges_have_it(aws: PretendedAws) -> None:
    logs, name = aws.client("logs"), f"/aws/lambda/{unique('keys')}"
    key = f"arn:aws:kms:{REGION}:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    tags = blueprint_of("mine").tags

    def group(arn: str) -> LogGroup:
        return LogGroup(logs, name, "Log of the function", arn, tags)

    with judged(aws):
        made = [apply_one(group(arn))[0] for arn in (key, key, key.replace("1234abcd-", "5678abcd-"), "", "")]
        assert made == ["create", "unchanged", "update", "update", "unchanged"]
        arn = f"arn:aws:logs:{REGION}:000000000000:log-group:{name}"
        assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"stagemaker:project": "mine"}
        group("").delete()


def test_keys_that_cannot_be_used_are_told_from_each_other(aws: PretendedAws) -> None:
    kms = aws.client("kms")
    signing = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    leaving = kms.create_key()["KeyMetadata"]["Arn"]
    nobodys = leaving.rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    assert find_key(kms, EncryptionSettings(leaving), REGION) == leaving
    for arn in (leaving, signing):
        kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    for name, said in (
        ("alias/nobody-s", "There is no KMS key alias/nobody-s"),
        ("00000000-0000-0000-0000-000000000000", "There is no KMS key 00000000"),
        (nobodys, "There is no KMS key arn"),
        (nobodys.replace(REGION, "eu-west-1"), "There is no KMS key arn"),
        (signing, "is for SIGN_VERIFY"),
        (leaving, "is PendingDeletion"),
    ):
        with pytest.raises(StepFailed, match=said):
            find_key(kms, EncryptionSettings(name), REGION)


def test_what_the_deployer_may_do_with_the_key_is_narrowed_to_it() -> None:
    """Each action is one of AWS's own list, and knows keys as its resource, and the keys of its condition."""
    encryption = EncryptionSettings("1234abcd-12ab-34cd-56ef-1234567890ab")
    plain = blueprint_of("mine")
    with_key = DeploymentSettings(project="mine", encryption=encryption, ec2=Ec2Settings())
    blueprint: Any = type(plain)(with_key, plain.account, "")
    found = [one for one in deployer(blueprint).statements if one.actions[0].startswith("kms:")]
    assert [one.sid for one in found] == [
        "LookUpKey", "UseKeyInS3", "EncryptVolumes", "EncryptVariables", "UseKeyInLogs", "EncryptHostVolumes",
        "LetHostVolumesUseKey",
    ]  # fmt: skip
    for statement in found:
        assert statement.resources == (f"arn:aws:kms:{REGION}:000000000000:key/{encryption.key}",)
        for name in statement.actions:
            action = find_action(*name.split(":"))
            assert action is not None, name
            assert "key" in {kind.name for kind in action.resources}, name
