"""The frames of RecordIO, byte by byte."""

import pytest

from stagemaker.jobs.recordio import MAX_BYTES, header, padding


def test_a_record_is_magic_size_data_and_zeros() -> None:
    assert header(5) + b"hello" + padding(5) == b"\x0a\x23\xd7\xce\x05\0\0\0hello\0\0\0"
    assert [len(padding(size)) for size in range(5)] == [0, 3, 2, 1, 0]


def test_a_record_that_is_too_large_is_refused() -> None:
    assert header(MAX_BYTES)[4:] == b"\xff\xff\xff\x1f"
    with pytest.raises(ValueError, match="it has 536,870,912 bytes, and a record of RecordIO holds 536,870,911"):
        header(MAX_BYTES + 1)
