"""What is found in a bucket of another account, and what is said of one that cannot be read."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.blueprint import Blueprint
from infra.clients import Clients
from infra.data.layout import MAX_BYTES
from infra.data_bucket import stored
from infra.data_bucket.settings import DataSettings
from infra.data_bucket.stored import StoredDataset, look
from infra.errors import StepFailed
from infra.resource_policies import data_bucket, data_key
from infra.settings import DeploymentSettings
from tests.unit.infra.fakes import ACCOUNT, FakeClient, fake_clients

DATA = DataSettings("photos", "210987654321", "sets")
BLUEPRINT = Blueprint(DeploymentSettings(data=DATA), ACCOUNT, "")
KEYS = ("train/a/1.jpg", "train/b/1.PNG", "valid/a/1.webp", "valid/b/1.jpeg")
CALLER = f"arn:aws:sts::{ACCOUNT}:assumed-role/ann/session"


def photo(key: str, etag: str = "one", size: int = 10) -> dict[str, Any]:
    return {"Key": f"sets/{key}", "ETag": f'"{etag}"', "Size": size}


def bucket(*items: dict[str, Any], region: str = "us-east-1") -> FakeClient:
    """S3 with these objects in the bucket."""

    def listed(Prefix: str, **_: Any) -> dict[str, Any]:
        found = [item for item in items if item["Key"].startswith(Prefix)]
        return {"Contents": found, "ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": region}}}

    return FakeClient({"list_objects_v2": listed, "get_object": lambda Key, **_: {"Body": io.BytesIO(Key.encode())}})


def clients(s3: FakeClient) -> Clients:
    return replace(fake_clients(s3=s3), caller=CALLER)


def found_in(s3: FakeClient) -> StoredDataset:
    return look(clients(s3), BLUEPRINT, DATA)


def refused(code: str, message: str = "Access Denied") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "ListObjectsV2")


def test_classes_and_photos_are_counted_and_one_photo_is_read() -> None:
    s3 = bucket(*map(photo, (*KEYS, "train/a/2.jpg", "train/", "train/a/", "train/notes.txt", "train/a/more/3.jpg")))
    found = found_in(s3)
    assert found.classes == ("a", "b")
    assert found.counts == {"train": 3, "valid": 2}
    assert str(found) == "2 classes; photos: 3 train, 2 valid; 2 other objects"
    assert found.sample == b"sets/train/a/1.jpg"
    assert (found.photos, found.digests, found.split("test")) == ((), {}, ())


def test_every_call_names_the_account_that_must_own_the_bucket() -> None:
    s3 = bucket(*map(photo, KEYS))
    found_in(s3)
    assert s3.names() == ["list_objects_v2", "list_objects_v2", "get_object"]
    assert all(request["ExpectedBucketOwner"] == "210987654321" for _, request in s3.calls)
    assert all(request["Bucket"] == "photos" for _, request in s3.calls)


def test_a_large_first_photo_is_not_fetched() -> None:
    s3 = bucket(photo("train/a/0.jpg", size=MAX_BYTES + 1), *map(photo, KEYS))
    assert found_in(s3).sample == b"sets/train/a/1.jpg"


@pytest.mark.parametrize(
    "changed", [photo(KEYS[0], etag="two"), photo(KEYS[0], size=11), photo("train/a/9.jpg"), photo("valid/a/1.txt")]
)
def test_the_digest_is_another_when_an_object_is(changed: dict[str, Any]) -> None:
    before = [photo(key) for key in KEYS]
    after = [item for item in before if item["Key"] != changed["Key"]] + [changed]
    assert found_in(bucket(*before)).digest == found_in(bucket(*before)).digest
    assert found_in(bucket(*before)).digest != found_in(bucket(*after)).digest


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ((), "There is no photo below s3://photos/sets/train/."),
        (KEYS[:2], "There is no photo below s3://photos/sets/valid/."),
        ((KEYS[0], KEYS[2]), "s3://photos/sets/ has only one class"),
        (KEYS[:3], "b is only in train."),
        ((*KEYS[1:], KEYS[3]), "a is only in valid."),
    ],
)
def test_what_no_model_can_be_trained_with(keys: tuple[str, ...], reason: str) -> None:
    with pytest.raises(StepFailed) as caught:
        found_in(bucket(*map(photo, keys)))
    assert reason in caught.value.reason


def test_endless_classes_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MAX_CLASSES", 2)
    with pytest.raises(StepFailed, match="has more than 2 classes"):
        found_in(bucket(*map(photo, (*KEYS, "train/c/1.jpg"))))


def test_a_bucket_of_another_region_is_refused() -> None:
    with pytest.raises(StepFailed) as caught:
        found_in(bucket(*map(photo, KEYS), region="eu-west-1"))
    assert caught.value.reason.startswith("The bucket photos is in eu-west-1, and the deployment in us-east-1")


def test_who_is_denied_is_told_the_policy() -> None:
    with pytest.raises(StepFailed) as caught:
        found_in(FakeClient({"list_objects_v2": refused("AccessDenied")}))
    assert f"does not allow {CALLER} s3:ListBucket." in caught.value.reason
    told = json.loads(caught.value.next_step.partition("\n")[2])
    assert told == data_bucket(BLUEPRINT, CALLER).policy


def test_who_may_list_but_not_read_is_told_so() -> None:
    s3 = bucket(*map(photo, KEYS))
    s3.answers["get_object"] = refused("AccessDenied")
    with pytest.raises(StepFailed, match="s3:GetObject"):
        found_in(s3)


KEY = "arn:aws:kms:us-east-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"
WITH_KEY = replace(DATA, kms_key_arn=KEY)
# The first is KMS's own sentence for a key of another account, the second S3's of earlier years.
REFUSED_BY_KMS = [
    f"User: {CALLER} is not authorized to perform: kms:Decrypt on the resource associated with this ciphertext because "
    "the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy "
    "explicitly denies access",
    "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not "
    "allowed to access.",
]


def found_with(data: DataSettings, **get: Any) -> StoredDataset:
    """What is found where the bucket may be listed, and GetObject answers so."""
    s3 = bucket(*map(photo, KEYS))
    s3.answers |= get
    blueprint = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=data))
    return look(clients(s3), blueprint, data)


@pytest.mark.parametrize("said", REFUSED_BY_KMS)
def test_who_may_read_but_not_decrypt_is_told_the_policy_of_the_key(said: str) -> None:
    with pytest.raises(StepFailed) as caught:
        found_with(WITH_KEY, get_object=refused("AccessDenied", said))
    assert f"the policy of the KMS key {KEY} does not allow {CALLER} kms:Decrypt" in caught.value.reason
    told = json.loads(caught.value.next_step.partition("\n")[2])
    with_key = replace(BLUEPRINT, settings=replace(BLUEPRINT.settings, data=WITH_KEY))
    assert told == data_key(with_key, CALLER).policy


@pytest.mark.parametrize("said", REFUSED_BY_KMS)
def test_a_key_that_nobody_has_named_is_asked_for(said: str) -> None:
    with pytest.raises(StepFailed, match="names none") as caught:
        found_with(DATA, get_object=refused("AccessDenied", said))
    assert "kms_key_arn" in caught.value.next_step


@pytest.mark.parametrize(("data", "named"), [(DATA, "no key"), (replace(DATA, kms_key_arn=f"{KEY}0"), f"{KEY}0")])
def test_photos_with_another_key_than_the_settings_name_are_refused(data: DataSettings, named: str) -> None:
    with pytest.raises(StepFailed) as caught:
        found_with(data, get_object=lambda **_: {"Body": io.BytesIO(b"x"), "SSEKMSKeyId": KEY})
    assert caught.value.reason.startswith(f"The KMS key {KEY} encrypts the photos in s3://photos/sets/, and [data] ")
    assert f"names {named}: " in caught.value.reason
    assert f'kms_key_arn = "{KEY}"' in caught.value.next_step


@pytest.mark.parametrize("answer", [{"SSEKMSKeyId": KEY}, {}])
def test_photos_with_the_key_that_the_settings_name(answer: dict[str, str]) -> None:
    assert found_with(WITH_KEY, get_object=lambda **_: {"Body": io.BytesIO(b"x"), **answer}).sample == b"x"


def test_a_bucket_of_somebody_else_is_not_read() -> None:
    """S3 refuses a call that names another owner, and answers one that names none."""

    def listed(**request: Any) -> dict[str, Any]:
        if "ExpectedBucketOwner" in request:
            raise refused("AccessDenied")
        return {}

    s3 = FakeClient({"list_objects_v2": listed})
    with pytest.raises(StepFailed) as caught:
        found_in(s3)
    assert caught.value.reason == "The bucket photos does not belong to the account 210987654321, but to another one."
    assert "get_object" not in s3.names()


def test_a_bucket_that_there_is_not() -> None:
    with pytest.raises(StepFailed, match="There is no bucket photos"):
        found_in(FakeClient({"list_objects_v2": refused("NoSuchBucket")}))


def test_another_refusal_is_aws_s_own() -> None:
    with pytest.raises(ClientError):
        found_in(FakeClient({"list_objects_v2": refused("SlowDown")}))
