"""A full disk in words."""

import errno
from pathlib import Path

import pytest

from stagemaker.core.disk import copy_tree, explain, is_full

SENTENCE = "No space left on the disk that holds LocalStack's data: free some, or use less data"


def full() -> OSError:
    with pytest.raises(OSError, match="No space") as caught:
        Path("/dev/full").write_text("x")
    return caught.value


def test_a_full_disk() -> None:
    assert explain(full()) == SENTENCE
    assert explain(OSError(errno.EDQUOT, "quota")) == SENTENCE


def test_a_full_disk_behind_another_error() -> None:
    error = ValueError("cannot write")
    error.__cause__ = full()
    assert explain(error) == SENTENCE


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no", "/path/of/ours"), OSError("no"), ValueError("no")])
def test_other_errors_keep_their_words_without_numbers_and_paths(error: Exception) -> None:
    assert not is_full(error)
    assert explain(error) == "no"


def test_a_copy_of_a_tree(tmp_path: Path) -> None:
    (tmp_path / "a" / "empty").mkdir(parents=True)
    (tmp_path / "a" / "sub").mkdir()
    (tmp_path / "a" / "sub" / "file").write_text("x")
    copy_tree(tmp_path / "a", tmp_path / "to" / "b")
    assert sorted(path.relative_to(tmp_path / "to").as_posix() for path in (tmp_path / "to").rglob("*")) == [
        "b", "b/empty", "b/sub", "b/sub/file",
    ]  # fmt: skip
    (tmp_path / "c" / "sub").mkdir(parents=True)
    (tmp_path / "c" / "sub" / "file").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space") as caught:
        copy_tree(tmp_path / "a", tmp_path / "c")
    assert explain(caught.value) == SENTENCE
