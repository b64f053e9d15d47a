"""Prints, as JSON, the shared libraries of an image and what each needs. Runs inside of the image."""

import json
import mmap
import os
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

NEEDED, STRING_TABLE, STRING_SIZE = 1, 5, 10  # tags of the dynamic section (ELF-64)
LOAD, DYNAMIC = 1, 2  # kinds of segments


def needed(path: Path) -> list[str] | None:
    """The names under DT_NEEDED of a 64-bit little-endian ELF file; None of any other file."""
    with path.open("rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            return None
        (start,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        file.seek(start)
        table = file.read(size * count)
        segments = [struct.unpack_from("<IIQQQQ", table, size * index) for index in range(count)]
        dynamic = next(((offset, length) for kind, _, offset, _, _, length in segments if kind == DYNAMIC), None)
        if dynamic is None:
            return None
        file.seek(dynamic[0])
        tags = list(struct.iter_unpack("<QQ", file.read(dynamic[1] // 16 * 16)))
        values = dict(tags)
        address = values[STRING_TABLE]
        file.seek(
            next(
                address - at + offset
                for kind, _, offset, at, _, length in segments
                if kind == LOAD and at <= address < at + length
            )
        )
        strings = file.read(values[STRING_SIZE])
    return [strings[at : strings.index(0, at)].decode() for tag, at in tags if tag == NEEDED]


def has_name(path: Path, name: str) -> bool:
    """Whether the bytes of a file have this name, as one that loads the library by it at run time has."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(name.encode()) >= 0


def main(names: list[str]) -> None:
    """`names` are looked for in each library."""
    site = Path(sysconfig.get_path("purelib"))
    there = [path for path in site.rglob("*.so*") if path.is_file()]
    libraries = {str(path.relative_to(site)): found for path in there if (found := needed(path)) is not None}
    system = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True).splitlines()[1:]
    json.dump(
        {
            "libraries": libraries,
            "system": sorted({line.split()[0] for line in system}),
            "named": {name: [path for path in libraries if has_name(site / path, name)] for name in names},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(os.environ["NAMES"].split())
