"""An object as the records that it is made of, and records as the bodies of requests. Pure, over streams.

AWS source: SplitType and BatchStrategy of CreateTransformJob. RecordIO: MXNet's frame (magic number, length, data,
zeros up to a multiple of 4); TFRecord: TensorFlow's (length, checksum, data, checksum). A record of these two keeps its
frame, which its reader needs.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

_RECORDIO_MAGIC = 0xCED7230A
_CUT_SHORT = "the object ends within a record"


class BadRecord(ValueError):
    """The object cannot be split so; the message says why."""


def split(stream: BinaryIO, kind: str, max_bytes: int) -> Iterator[bytes]:
    """The records of an object: all of it as one for the kind "None", lines without their ends, or frames.

    Raises BadRecord for one of more than `max_bytes`, before it is read whole, and for a frame that is none."""
    readers = {"None": _whole, "Line": _lines, "RecordIO": _recordio, "TFRecord": _tfrecord}
    return readers[kind](stream, max_bytes)


def batches(records: Iterable[bytes], separator: bytes, max_bytes: int, *, several: bool) -> Iterator[list[bytes]]:
    """The records of each request: as many as fit into `max_bytes` with `separator` between them if `several`, else
    one."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        grown = size + len(separator) + len(record) if batch else len(record)
        if batch and (not several or grown > max_bytes):
            yield batch
            batch, grown = [], len(record)
        batch.append(record)
        size = grown
    if batch:
        yield batch


def _whole(stream: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    record = stream.read(max_bytes + 1)
    _refuse_larger(len(record), max_bytes)
    yield record


def _lines(stream: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Empty lines are no records."""
    while line := stream.readline(max_bytes + 3):
        record = line.removesuffix(b"\n").removesuffix(b"\r")
        _refuse_larger(len(record), max_bytes)
        if record:
            yield record


def _recordio(stream: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    while head := stream.read(8):
        if len(head) < 8:
            raise BadRecord(_CUT_SHORT)
        magic, length = struct.unpack("<II", head)
        if magic != _RECORDIO_MAGIC:
            raise BadRecord("the object is not RecordIO")
        length &= (1 << 29) - 1  # the upper three bits say how a record continues
        padded = length + -length % 4
        _refuse_larger(8 + padded, max_bytes)
        yield head + _exactly(stream, padded)


def _tfrecord(stream: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    while head := stream.read(12):
        if len(head) < 12:
            raise BadRecord(_CUT_SHORT)
        (length,) = struct.unpack("<Q", head[:8])
        _refuse_larger(12 + length + 4, max_bytes)
        yield head + _exactly(stream, length + 4)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise BadRecord(_CUT_SHORT)
    return data


def _refuse_larger(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise BadRecord(f"a record is larger than MaxPayloadInMB allows ({max_bytes:,} bytes)")
