"""Reads TensorBoard's event files by the messages of their format, not by code of ours."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event
from tensorboardX.record_writer import masked_crc32c


def events(path: Path) -> list[Event]:
    """Those of a file, whose checksums are right."""
    data, found = path.read_bytes(), []
    while data:
        size, check = struct.unpack("<QI", data[:12])
        assert masked_crc32c(data[:8]) == check
        body, (check,) = data[12 : 12 + size], struct.unpack("<I", data[12 + size : 16 + size])
        assert masked_crc32c(body) == check
        found.append(Event.FromString(body))
        data = data[16 + size :]
    return found


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path
