"""Training with photos that lie in a bucket of another account: denied without its owner's policy, done with the one
that is printed, and the bucket stays as it is."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.blueprint import TRAINING_LOGS, Blueprint
from infra.data_bucket.settings import DataSettings
from infra.resource_policies import data_bucket, data_key
from infra.settings import DeploymentSettings
from tests.aws.broken_off import Project
from tests.aws.deploys import changing, document, run
from tests.aws.pretended_aws import Keys, PretendedAws
from tests.aws.rules import Fault
from tests.aws.wire import AwsError
from tests.contract.gateway import Gateway
from tests.contract.users import unique

THEIRS, OURS = "210987654321", "000000000000"
PREFIX = "sets/digits"


@dataclass(frozen=True)
class Owner:
    """The other account, with a bucket that has the photos below PREFIX, and something besides."""

    s3: Any
    bucket: str

    def attach(self, policy: Any) -> None:
        """Put the policy on the bucket."""
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps(policy))

    def objects(self) -> dict[str, str]:
        """The ETags of all that it has."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket)["Contents"]
        return {item["Key"]: item["ETag"] for item in listed}


@pytest.fixture
def owner(aws: PretendedAws, aws_gateway: Gateway, small_digits: Path) -> Owner:
    """Its calls are in no log of the pretended AWS."""
    s3, bucket = aws.client("s3", Keys(THEIRS, "test"), url=aws_gateway.url), unique("photos")
    s3.create_bucket(Bucket=bucket)
    for path in small_digits.rglob("*.png"):
        key = f"{PREFIX}/{path.relative_to(small_digits).as_posix()}"
        s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
    s3.put_object(Bucket=bucket, Key="private/letter.txt", Body=b"not yours")
    return Owner(s3, bucket)


def preset_of(folder: Path, owner: Owner, account: str = THEIRS, key: str = "") -> str:
    path = folder / f"{account}.toml"
    data = f"[data]\nbucket = '{owner.bucket}'\naccount = '{account}'\nprefix = '{PREFIX}'\n"
    path.write_text(data + (f"kms_key_arn = '{key}'\n" if key else ""))
    return str(path)


def printed_policy(said: str) -> Any:
    """The policy that a command printed."""
    return json.JSONDecoder().raw_decode(said[said.index('{\n  "Version"') :])[0]


def job_log(aws: PretendedAws, job: str) -> str:
    """All that the training job printed."""
    logs, group = aws.client("logs"), {"logGroupName": TRAINING_LOGS}
    streams = logs.describe_log_streams(**group, logStreamNamePrefix=f"{job}/")["logStreams"]
    names = [stream["logStreamName"] for stream in streams]
    events = [logs.get_log_events(**group, logStreamName=name, startFromHead=True)["events"] for name in names]
    return "\n".join(event["message"] for each in events for event in each)


def test_photos_of_another_account_are_trained_with_once_its_owner_allows_it(
    aws: PretendedAws, project: Project, owner: Owner, tmp_path: Path
) -> None:
    whose = "--preset", preset_of(tmp_path, owner), "--project", project.name
    before = owner.objects()
    aws.forget()

    code, said = run(aws, "plan", *whose)
    assert (code, f"account {THEIRS}, if the bucket is its own, does not allow" in said) == (1, True), said
    policy = printed_policy(said)

    data = DataSettings(owner.bucket, THEIRS, PREFIX)
    blueprint = Blueprint(DeploymentSettings(project=project.name, data=data), OURS, "")
    caller = aws.client("sts").get_caller_identity()["Arn"]
    assert policy == data_bucket(blueprint, caller).policy
    without_role = json.loads(json.dumps(policy).replace(blueprint.role_arn("training"), f"arn:aws:iam::{OURS}:role/x"))
    owner.attach(without_role)
    code, said = run(aws, "train", *whose)
    assert (code, "No S3 objects found under S3 URL" in said) == (1, True), said
    assert printed_policy(said) == policy

    owner.attach(policy)
    code, said = run(aws, "train", *whose)
    assert code == 0, said
    (job,) = [call.members for call in aws.calls("sagemaker", "CreateTrainingJob") if call.status == 200][-1:]
    for channel in job["InputDataConfig"]:
        uri = f"s3://{owner.bucket}/{PREFIX}/{channel['ChannelName']}/"
        assert channel["DataSource"]["S3DataSource"]["S3Uri"] == uri
    log = job_log(aws, job["TrainingJobName"])
    for key in before:
        split = key.removeprefix(f"{PREFIX}/")
        is_read = f"input/data/{split}" in log
        assert is_read is key.startswith((f"{PREFIX}/train/", f"{PREFIX}/valid/")), key

    code, said = run(aws, "plan", *whose, "--json")
    assert (code, document(said)["data_bucket_policy"]) == (0, policy), said
    calls = [call for call in aws.calls("s3") if call.members.get("Bucket") == owner.bucket]
    assert {call.operation for call in calls} == {"ListObjectsV2", "GetObject"}
    unnamed = [call for call in calls if call.members.get("ExpectedBucketOwner") != THEIRS]
    assert all(call.members.get("MaxKeys") == 1 and call.status == 403 for call in unnamed)

    project.check_destroyed()
    assert owner.objects() == before


def test_photos_with_a_key_of_the_other_account_are_planned_with_once_both_policies_are_there(
    aws: PretendedAws, aws_gateway: Gateway, project: Project, owner: Owner, tmp_path: Path
) -> None:
    """The stage asks no key: KMS's refusal is injected where S3 would give it."""
    kms = aws.client("kms", Keys(THEIRS, "test"), url=aws_gateway.url)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for name in owner.objects():
        owner.s3.copy_object(Bucket=owner.bucket, Key=name, CopySource=f"{owner.bucket}/{name}", **encrypted)
    unnamed = "--preset", preset_of(tmp_path, owner), "--project", project.name
    caller = aws.client("sts").get_caller_identity()["Arn"]
    data = DataSettings(owner.bucket, THEIRS, PREFIX, key)
    blueprint = Blueprint(DeploymentSettings(project=project.name, data=data), OURS, "")
    owner.attach(data_bucket(blueprint, caller).policy)
    aws.forget()

    code, said = run(aws, "plan", *unnamed)
    assert (code, f'Set kms_key_arn = "{key}" in [data]' in said) == (1, True), said

    named = "--preset", preset_of(tmp_path, owner, key=key), "--project", project.name
    told = "User: u is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext"
    with aws.injected(Fault("s3", "GetObject", error=AwsError("AccessDenied", told))):
        code, said = run(aws, "plan", *named)
    assert (code, f"the policy of the KMS key {key} does not allow {caller} kms:Decrypt" in said) == (1, True), said
    policy = printed_policy(said)
    assert policy == data_key(blueprint, caller).policy
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))

    code, said = run(aws, "plan", *named, "--json")
    found = document(said)
    assert (code, found["data_key_policy"], found["data_bucket_policy"]) == (
        0, policy, data_bucket(blueprint, caller).policy,
    ), said  # fmt: skip
    assert changing(aws) == []


def test_a_bucket_of_an_account_that_is_not_meant_is_not_read(
    aws: PretendedAws, project: Project, owner: Owner, tmp_path: Path
) -> None:
    readers = {"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket", "s3:GetObject"]}
    about = [f"arn:aws:s3:::{owner.bucket}", f"arn:aws:s3:::{owner.bucket}/*"]
    owner.attach({"Version": "2012-10-17", "Statement": [{**readers, "Resource": about}]})
    aws.forget()
    code, said = run(aws, "deploy", "--preset", preset_of(tmp_path, owner, "123123123123"), "--project", project.name)
    assert (code, f"{owner.bucket} does not belong to the account 123123123123" in said) == (1, True), said
    assert not aws.calls("s3", "GetObject")
    assert not aws.calls("iam", "CreateRole")
