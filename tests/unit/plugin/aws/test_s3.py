"""What of the S3 code needs no S3; the rest is in the contract tests."""

import pytest

from stagemaker.aws.s3 import path_below, paths_below, split_uri
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


@pytest.mark.parametrize(("length", "refused"), [(255, False), (256, True)])
def test_a_name_that_is_too_long_for_a_file_is_refused(length: int, refused: bool) -> None:
    key = f"train/{'é' * (length // 2)}{'x' * (length % 2)}/1.jpg"
    if not refused:
        assert path_below("train/", key) == key.removeprefix("train/")
        return
    with pytest.raises(ApiError, match="a name in it has 256 bytes, and a file's may have 255: rename the object") as e:
        path_below("train/", key)
    assert len(e.value.message) < 400


@pytest.mark.parametrize(
    ("prefix", "keys", "sentence"),
    [
        ("", ["a", "a/b"], "'a' and 'a/b' cannot both be written: they would be a file and a folder of the same name"),
        ("p/", ["p/x/y/z", "p/x"], "'p/x' and 'p/x/y/z' cannot both be written: they would be a file and a folder"),
        ("da", ["da-1/x", "da/da-1/x"], "'da-1/x' and 'da/da-1/x' cannot both be written: they would be the same file"),
        ("p/", ["p//x", "p/x"], "'p//x' and 'p/x' cannot both be written: they would be the same file. Rename one"),
    ],
)
def test_keys_that_cannot_be_files_beside_each_other_are_named(prefix: str, keys: list[str], sentence: str) -> None:
    with pytest.raises(ApiError) as caught:
        paths_below(prefix, keys)
    assert sentence in caught.value.message
    assert caught.value.code == "ValidationException"


def test_keys_that_can() -> None:
    assert paths_below("p/", ["p/a", "p/a.b/c", "p/b/a"]) == {"p/a": "a", "p/a.b/c": "a.b/c", "p/b/a": "b/a"}


def test_uris() -> None:
    assert split_uri("s3://bucket/a/b") == ("bucket", "a/b")
    assert split_uri("s3://bucket") == ("bucket", "")
    for bad in ("https://bucket/a", "s3://", "bucket/a", "s3:///a"):
        with pytest.raises(ApiError, match="not an S3 URI"):
            split_uri(bad)
