"""What of the S3 code needs no S3; the rest is in the contract tests."""

from typing import Any

import pytest

from stagemaker.aws.account import _below, _trusts, split_uri
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
    assert _below(prefix, key) == path


@pytest.mark.parametrize(
    "key", ["train/../../etc/passwd", "train/a//b", "train/./b", "train/..", "train/\0x", "train//x/.."]
)
def test_a_key_that_would_be_written_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(ApiError, match="rename the object"):
        _below("train/", key)


def test_uris() -> None:
    assert split_uri("s3://bucket/a/b") == ("bucket", "a/b")
    assert split_uri("s3://bucket") == ("bucket", "")
    for bad in ("https://bucket/a", "s3://", "bucket/a", "s3:///a"):
        with pytest.raises(ApiError, match="not an S3 URI"):
            split_uri(bad)


@pytest.mark.parametrize(
    ("principal", "trusted"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, True),
        ({"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}, True),
        ("*", True),
        ({"Service": "lambda.amazonaws.com"}, False),
        ({"AWS": "arn:aws:iam::123456789012:root"}, False),
    ],
)
def test_trust(principal: Any, trusted: bool) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    assert _trusts({"Version": "2012-10-17", "Statement": [statement]}) is trusted
    assert _trusts({"Statement": statement}) is trusted
    assert not _trusts({"Statement": [{**statement, "Effect": "Deny"}]})
