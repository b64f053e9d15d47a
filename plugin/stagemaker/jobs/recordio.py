"""RecordIO, in which training can get its objects in Pipe mode. Pure.

A record is a number that marks its start, the size of its data, and the data, filled up with zeros to a multiple of
four bytes; the numbers are little-endian. AWS source: the reader of the sagemaker SDK (`amazon/common.py`). The format
is MXNet's, which keeps the three highest bits of the size for records in several parts.
"""

import struct

MAGIC = 0xCED7230A
MAX_BYTES = (1 << 29) - 1  # of one record


def header(size: int) -> bytes:
    """What stands before `size` bytes of data, at most MAX_BYTES. ValueError for more."""
    if size > MAX_BYTES:
        raise ValueError(f"it has {size:,} bytes, and a record of RecordIO holds {MAX_BYTES:,}")
    return struct.pack("<II", MAGIC, size)


def padding(size: int) -> bytes:
    """What stands behind them."""
    return bytes(-size % 4)
