"""A full disk in words."""

import errno
from pathlib import Path

import pytest

from stagemaker.core.disk import explain, is_full

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


@pytest.mark.parametrize("error", [OSError(errno.EACCES, "no"), ValueError("no")])
def test_other_errors_keep_their_words(error: Exception) -> None:
    assert not is_full(error)
    assert explain(error) == str(error)
