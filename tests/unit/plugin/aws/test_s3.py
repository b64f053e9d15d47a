"""What of the S3 code needs no S3; the rest is in the contract tests."""

import pytest

from stagemaker.aws.s3 import path_below, split_uri
from stagemaker.core.errors import ApiError


@pytest.mark.parametrize(
    ("prefix", "key", "path"),
    [
        ("", "a/b.jpg", "a/b.jpg"),
        ("train", "train/cat/1.jpg", "cat/1.jpg"),
        ("train/", "train/cat/1.jpg", "cat/1.jpg"),
        ("data/train.csv", "data/train.csv", "train.csv"),
        ("data/tr", "data/train/1.jpg", "train/1.jpg"),
        ("tr", "train/1.jpg", "train/1.jpg"),
    ],
)
def test_paths_below_a_prefix(prefix: str, key: str, path: str) -> None:
    assert path_below(prefix, key) == path


@pytest.mark.parametrize(
    "key", ["train/../../etc/passwd", "train/a//b", "train/./b", "train/..", "train/\0x", "train//x/.."]
)
def test_a_key_that_would_be_written_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(ApiError, match="rename the object"):
        path_below("train/", key)


def test_uris() -> None:
    assert split_uri("s3://bucket/a/b") == ("bucket", "a/b")
    assert split_uri("s3://bucket") == ("bucket", "")
    for bad in ("https://bucket/a", "s3://", "bucket/a", "s3:///a"):
        with pytest.raises(ApiError, match="not an S3 URI"):
            split_uri(bad)
