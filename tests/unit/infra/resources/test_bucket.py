import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.errors import StepFailed
from infra.resources.bucket import UNFINISHED, Bucket
from tests.unit.infra.aws_shapes import check
from tests.unit.infra.fakes import FakeClient, missing

CLOSED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
OWNER = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WITH_KEY = {
    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KEY},
    "BucketKeyEnabled": True,
}
POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:*"],
            "Resource": ["arn:aws:s3:::photos", "arn:aws:s3:::photos/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}
RULE = "lifecycle rule stagemaker-unfinished-uploads"
AS_WANTED: dict[str, Any] = {
    "get_public_access_block": {"PublicAccessBlockConfiguration": CLOSED},
    "get_bucket_ownership_controls": {"OwnershipControls": OWNER},
    "get_bucket_encryption": {"ServerSideEncryptionConfiguration": ENCRYPTION},
    "get_bucket_policy": {"Policy": json.dumps(POLICY)},
    "get_bucket_lifecycle_configuration": {"Rules": [UNFINISHED]},
}


def bucket(region: str = "us-east-1", **answers: Any) -> tuple[FakeClient, Bucket]:
    client = FakeClient(answers)
    return client, Bucket(client, "photos", region)


def test_none() -> None:
    _, one = bucket(list_objects_v2=missing("NoSuchBucket"))
    assert one.read() is None


def test_one_of_another_account() -> None:
    _, one = bucket(list_objects_v2=missing("AccessDenied"))
    with pytest.raises(StepFailed, match="belongs to someone else"):
        one.read()


def test_credentials_that_have_expired_are_not_taken_for_a_bucket_of_another_account() -> None:
    _, one = bucket(list_objects_v2=missing("ExpiredToken"))
    with pytest.raises(ClientError, match="ExpiredToken"):
        one.read()


def test_one_that_is_as_wanted() -> None:
    client, one = bucket(**AS_WANTED)
    state = one.read()
    assert state is not None
    assert one.diff(state) == []
    assert all(name.startswith(("get", "list")) for name in client.names())


def test_one_that_is_open_is_closed() -> None:
    client, one = bucket(
        get_public_access_block=missing("NoSuchPublicAccessBlockConfiguration"),
        get_bucket_ownership_controls=missing("OwnershipControlsNotFoundError"),
        get_bucket_encryption=missing("ServerSideEncryptionConfigurationNotFoundError"),
        get_bucket_policy=missing("NoSuchBucketPolicy"),
        get_bucket_lifecycle_configuration=missing("NoSuchLifecycleConfiguration"),
    )
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    differing = [change.member for change in changes]
    assert differing == [*CLOSED, "ObjectOwnership", "SSEAlgorithm", "statement OnlyTls", RULE]
    one.update(state, changes)
    put = dict(client.calls[-5:])
    assert put["put_public_access_block"]["PublicAccessBlockConfiguration"] == CLOSED
    assert put["put_bucket_ownership_controls"]["OwnershipControls"] == OWNER
    assert put["put_bucket_encryption"]["ServerSideEncryptionConfiguration"] == ENCRYPTION
    assert json.loads(put["put_bucket_policy"]["Policy"]) == POLICY
    assert put["put_bucket_lifecycle_configuration"]["LifecycleConfiguration"] == {"Rules": [UNFINISHED]}
    for name, members in put.items():
        check("s3", "".join(part.title() for part in name.split("_")), members)


def test_only_what_was_changed_is_put() -> None:
    theirs = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "s3:Get*", "Resource": "*"}
    (tls,) = POLICY["Statement"]
    spoilt = json.dumps({"Version": "2012-10-17", "Statement": [theirs, {**tls, "Effect": "Allow"}]})
    client, one = bucket(**{**AS_WANTED, "get_bucket_policy": {"Policy": spoilt}})
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert [str(change) for change in changes] == ["statement OnlyTls.Effect: Allow -> Deny"]
    client.calls.clear()
    one.update(state, changes)
    ((name, members),) = client.calls
    assert (name, json.loads(members["Policy"])["Statement"]) == ("put_bucket_policy", [theirs, tls])


def test_a_statement_that_aws_has_shortened_is_the_same() -> None:
    (tls,) = POLICY["Statement"]
    shortened = json.dumps({"Version": "2012-10-17", "Statement": {**tls, "Action": "s3:*"}})
    _, one = bucket(**{**AS_WANTED, "get_bucket_policy": {"Policy": shortened}})
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


@pytest.mark.parametrize(
    ("region", "more"),
    [("us-east-1", {}), ("eu-west-1", {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}})],
)
def test_a_new_one_is_closed_and_in_its_region(region: str, more: dict[str, object]) -> None:
    client, one = bucket(region)
    one.create()
    assert client.calls[0] == ("create_bucket", {"Bucket": "photos", **more})
    assert client.names()[1:] == [
        "put_public_access_block", "put_bucket_ownership_controls", "put_bucket_encryption", "put_bucket_policy",
        "put_bucket_lifecycle_configuration",
    ]  # fmt: skip


def test_in_china_its_policy_has_the_partition() -> None:
    client, one = bucket("cn-north-1")
    one.create()
    (statement,) = json.loads(dict(client.calls)["put_bucket_policy"]["Policy"])["Statement"]
    assert statement["Resource"] == ["arn:aws-cn:s3:::photos", "arn:aws-cn:s3:::photos/*"]


def test_it_is_emptied_before_it_is_deleted() -> None:
    listed = {"Contents": [{"Key": "data/a.png", "Size": 1}, {"Key": "models/b", "Size": 2}]}
    client, one = bucket(list_objects_v2=listed)
    one.delete()
    assert client.names() == ["list_objects_v2", "delete_objects", "delete_bucket"]
    assert client.calls[1][1]["Delete"]["Objects"] == [{"Key": "data/a.png"}, {"Key": "models/b"}]


def lifecycle(*rules: dict[str, Any], **more: str) -> tuple[FakeClient, Bucket]:
    return bucket(**{**AS_WANTED, "get_bucket_lifecycle_configuration": {"Rules": list(rules), **more}})


THEIRS = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}


@pytest.mark.parametrize(
    "spoilt",
    [
        {**UNFINISHED, "Status": "Disabled"},
        {**UNFINISHED, "Filter": {"Prefix": "data/"}},
        {**UNFINISHED, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 700}},
        {**UNFINISHED, "ID": "another"},
    ],
)
def test_unfinished_uploads_are_aborted_and_the_rules_of_others_stay(spoilt: dict[str, Any]) -> None:
    client, one = lifecycle(THEIRS, spoilt, TransitionDefaultMinimumObjectSize="varies_by_storage_class")
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert [change.member for change in changes] == [RULE]
    client.calls.clear()
    one.update(state, changes)
    ((name, members),) = client.calls
    assert name == "put_bucket_lifecycle_configuration"
    kept = [THEIRS, spoilt] if spoilt["ID"] == "another" else [THEIRS]
    assert members["LifecycleConfiguration"]["Rules"] == [*kept, UNFINISHED]
    assert members["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    check("s3", "PutBucketLifecycleConfiguration", members)


@pytest.mark.parametrize("everywhere", [{"Filter": {}}, {"Prefix": ""}, {"Filter": {"Prefix": ""}}])
def test_s3_may_write_a_rule_for_all_keys_in_its_own_way(everywhere: dict[str, Any]) -> None:
    _, one = lifecycle({**{key: value for key, value in UNFINISHED.items() if key != "Filter"}, **everywhere})
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


def encrypted(rule: dict[str, Any], key: str = KEY) -> tuple[FakeClient, Bucket]:
    """A bucket with two objects and this encryption, which should have the key."""
    listed = {"Contents": [{"Key": "data/a.png", "Size": 1}, {"Key": "models/b", "Size": 2}]}
    tagged = {"TagSet": [{"Key": "a", "Value": "b"}]}
    of = {"get_bucket_encryption": {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}, "list_objects_v2": listed}
    client = FakeClient({**AS_WANTED, **of, "get_bucket_tagging": tagged})
    return client, Bucket(client, "photos", "us-east-1", tagged["TagSet"], key)


@pytest.mark.parametrize(
    ("rule", "members"),
    [
        (ENCRYPTION["Rules"][0], {"SSEAlgorithm", "KMSMasterKeyID", "BucketKeyEnabled"}),
        ({**WITH_KEY, "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}, {"KMSMasterKeyID"}),
        ({**WITH_KEY, "BucketKeyEnabled": False}, {"BucketKeyEnabled"}),
    ],
)
def test_what_it_holds_is_encrypted_with_the_key_before_all_that_comes(rule: Any, members: set[str]) -> None:
    client, one = encrypted(rule)
    state = one.read()
    assert state is not None
    changes = one.diff(state)
    assert {change.member for change in changes} == members
    client.calls.clear()
    assert one.update(state, changes) == "2 objects encrypted anew"
    assert client.names() == ["list_objects_v2", "copy_object", "copy_object", "put_bucket_encryption"]
    copied = sorted((members for name, members in client.calls if name == "copy_object"), key=lambda one: one["Key"])
    for request in copied:
        check("s3", "CopyObject", {**request, "CopySource": f"photos/{request['Key']}"})
    assert copied[0] == {
        "Bucket": "photos", "Key": "data/a.png", "CopySource": {"Bucket": "photos", "Key": "data/a.png"},
        "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "BucketKeyEnabled": True,
    }  # fmt: skip
    put = client.calls[-1][1]
    check("s3", "PutBucketEncryption", put)
    assert put["ServerSideEncryptionConfiguration"] == {"Rules": [WITH_KEY]}


def test_one_with_the_key_is_as_wanted() -> None:
    _, one = encrypted(WITH_KEY)
    state = one.read()
    assert state is not None
    assert one.diff(state) == []


def test_without_a_key_what_it_holds_is_encrypted_by_s3_again() -> None:
    client, one = encrypted(WITH_KEY, key="")
    state = one.read()
    assert state is not None
    (change,) = one.diff(state)
    assert str(change) == "SSEAlgorithm: aws:kms -> AES256"
    one.update(state, [change])
    request = next(members for name, members in client.calls if name == "copy_object")
    assert (request["ServerSideEncryption"], request.keys() & {"SSEKMSKeyId", "BucketKeyEnabled"}) == ("AES256", set())
    assert client.calls[-1][1]["ServerSideEncryptionConfiguration"] == ENCRYPTION
