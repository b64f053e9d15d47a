"""Objects as records, and records as requests."""

import io
import struct

import pytest

from stagemaker.transform.splitting import BadRecord, batches, split


def records(data: bytes, kind: str, max_bytes: int = 100) -> list[bytes]:
    return list(split(io.BytesIO(data), kind, max_bytes))


def recordio(data: bytes) -> bytes:
    return struct.pack("<II", 0xCED7230A, len(data)) + data + bytes(-len(data) % 4)


def tfrecord(data: bytes) -> bytes:
    return struct.pack("<Q", len(data)) + b"crc1" + data + b"crc2"


def test_an_object_that_is_not_split_is_one_record() -> None:
    assert records(b"a\nb\n", "None") == [b"a\nb\n"]
    assert records(b"", "None") == [b""]


@pytest.mark.parametrize("data", [b"a,1\nb,2\n", b"a,1\nb,2", b"a,1\r\nb,2\r\n", b"\na,1\n\nb,2\n\n"])
def test_lines_lose_their_ends_and_empty_ones_are_none(data: bytes) -> None:
    assert records(data, "Line") == [b"a,1", b"b,2"]


@pytest.mark.parametrize(("kind", "frame"), [("RecordIO", recordio), ("TFRecord", tfrecord)])
def test_frames_are_kept_whole(kind: str, frame: "type[bytes]") -> None:
    made = [frame(b"abc"), frame(b"defgh")]
    assert records(b"".join(made), kind) == made
    with pytest.raises(BadRecord, match="ends within"):
        records(made[0] + made[1][:-1], kind)
    with pytest.raises(BadRecord, match="larger than"):
        records(frame(bytes(200)), kind)


def test_what_is_no_recordio() -> None:
    with pytest.raises(BadRecord, match="not RecordIO"):
        records(b"12345678", "RecordIO")


@pytest.mark.parametrize("kind", ["None", "Line"])
def test_a_record_that_is_too_large_is_not_read_whole(kind: str) -> None:
    stream = io.BytesIO(bytes([65]) * 10_000)
    with pytest.raises(BadRecord, match="MaxPayloadInMB"):
        list(split(stream, kind, 100))
    assert stream.tell() < 200


def test_a_line_of_just_the_limit() -> None:
    assert records(b"x" * 100 + b"\r\n" + b"y", "Line") == [b"x" * 100, b"y"]


def test_as_many_records_as_fit_go_together() -> None:
    lines = [b"1234", b"5678", b"9", b"0123456789"]
    assert list(batches(lines, b"\n", 10, several=True)) == [[b"1234", b"5678"], [b"9"], [b"0123456789"]]
    assert list(batches(lines, b"\n", 10, several=False)) == [[line] for line in lines]
    assert list(batches([], b"\n", 10, several=True)) == []
