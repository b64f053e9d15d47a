"""The table [data] of a preset: what AWS would not take is refused."""

import re

import pytest

from infra.data_bucket.settings import DataSettings
from infra.settings import DeploymentSettings


@pytest.mark.parametrize(
    ("bucket", "account", "prefix", "reason"),
    [
        ("Photos", "210987654321", "", "The bucket 'Photos' must have 3 to 63 small letters"),
        ("ab", "210987654321", "", "The bucket 'ab'"),
        ("a" * 64, "210987654321", "", "must have 3 to 63"),
        ("photos/*", "210987654321", "", "The bucket 'photos/*'"),
        ("photos", "21098765432", "", "'21098765432' is not the number of an AWS account"),
        ("photos", "٢٢٢٢٢٢٢٢٢٢٢٢", "", "is not the number of an AWS account"),
        ("photos", "210987654321", "/sets", "The prefix '/sets' must be folders"),
        ("photos", "210987654321", "sets/", "The prefix 'sets/' must be folders"),
        ("photos", "210987654321", "*", "The prefix '*' must be folders"),
        ("photos", "210987654321", "a" * 513, "at most 512"),
    ],
)
def test_what_is_refused(bucket: str, account: str, prefix: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        DataSettings(bucket, account, prefix)


def test_where_photos_lie() -> None:
    assert DataSettings("photos", "210987654321").uri == "s3://photos/"
    assert DataSettings("my.photos", "210987654321", "sets/dogs").uri == "s3://my.photos/sets/dogs/"


def test_the_bucket_of_a_deployment_is_nobody_s_data() -> None:
    """Its end would delete the photos."""
    own = DataSettings("dogs-210987654321-us-east-1", "210987654321")
    with pytest.raises(ValueError, match="has the name of a deployment's own"):
        DeploymentSettings(project="dogs", data=own)
    assert DeploymentSettings(project="cats", data=own).data == own


KEY = "arn:aws:kms:eu-west-1:210987654321:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize("key", ["alias/photos", "1234abcd-12ab-34cd-56ef-1234567890ab", KEY.replace("key/", "alias/")])
def test_a_key_of_another_account_is_named_by_its_arn(key: str) -> None:
    """KMS looks an alias up in the caller's own account."""
    with pytest.raises(ValueError, match="is not the ARN of a KMS key"):
        DataSettings("photos", "210987654321", "", key)


def test_a_key_of_another_region_is_refused() -> None:
    data = DataSettings("photos", "210987654321", "", KEY)
    with pytest.raises(ValueError, match="is in eu-west-1, and the deployment in us-east-1"):
        DeploymentSettings(data=data)
    assert DeploymentSettings(region="eu-west-1", data=data).data == data
