"""What a preset may say of a key."""

import pytest

from infra.encryption.settings import EncryptionSettings


@pytest.mark.parametrize(
    "key",
    [
        "alias/dogs",
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "arn:aws:kms:eu-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws-cn:kms:cn-north-1:123456789012:alias/team/dogs",
    ],
)
def test_a_key_is_named_by_alias_id_or_arn(key: str) -> None:
    assert EncryptionSettings(key).key == key


@pytest.mark.parametrize("key", ["", "my key", "x" * 2049])
def test_a_text_that_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is not the id, the alias or the ARN of a KMS key"):
        EncryptionSettings(key)


@pytest.mark.parametrize("key", ["alias/aws/s3", "arn:aws:kms:eu-west-1:123456789012:alias/aws/lambda"])
def test_aws_s_own_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="is AWS's own key"):
        EncryptionSettings(key)
