"""What a preset may say about the repositories of the images."""

import pytest

from infra.image_settings import ImageSettings


@pytest.mark.parametrize(("keep", "untagged_days"), [(0, 14), (10_001, 14), (20, 0)])
def test_a_repository_keeps_something_and_not_everything(keep: int, untagged_days: int) -> None:
    with pytest.raises(ValueError, match="both must be from 1 to 10000"):
        ImageSettings(keep=keep, untagged_days=untagged_days)


@pytest.mark.parametrize("key", ["alias/images", "1234abcd-12ab-34cd-56ef-1234567890ab"])
def test_a_key_is_named_by_id_or_alias(key: str) -> None:
    assert ImageSettings(kms_key=key).kms_key == key


def test_a_text_that_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="'my key' is not the id, the alias or the ARN of a KMS key"):
        ImageSettings(kms_key="my key")
