"""Pure: events in the encoding that AWS's clients read from a stream (application/vnd.amazon.eventstream).

LocalStack's own serializer has no exceptions in a stream, and leaves out the headers of the answer that it begins.
AWS source: "Event stream encoding", smithy.io.
"""

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from botocore.model import Shape, StructureShape

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7  # the type of a header's value
_FRAME_BYTES = 16  # both lengths and both checksums

Event = Mapping[str, Mapping[str, Any]]  # the name of one member of the stream's shape, and its members


def encoded(event: Event, stream: StructureShape) -> bytes:
    """One event of a stream of this shape, or one of its exceptions, as it is sent."""
    [(name, members)] = event.items()
    shape = stream.members[name]
    kind = "exception" if shape.metadata.get("exception") else "event"
    content_type, payload = _payload(shape, members)
    return _message({f":{kind}-type": name, ":content-type": content_type, ":message-type": kind}, payload)


def _payload(shape: Shape, members: Mapping[str, Any]) -> tuple[str, bytes]:
    """The one member that the shape calls its payload as it is, else all as JSON."""
    for name, member in shape.members.items():
        if member.serialization.get("eventpayload") and member.type_name == "blob":
            return "application/octet-stream", members[name]
    return "application/json", json.dumps(members).encode()


def _message(headers: Mapping[str, str], payload: bytes) -> bytes:
    head = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    message = struct.pack("!II", len(head) + len(payload) + _FRAME_BYTES, len(head))
    message += struct.pack("!I", zlib.crc32(message)) + head + payload
    return message + struct.pack("!I", zlib.crc32(message))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value
