"""The memory of this process and of its control group."""

import ctypes
from pathlib import Path

from containers.serve.numbers import whole_number

_KIB = 1024


def return_free_memory() -> None:
    """Gives what was freed back to the system. The C library keeps it else: 130 MB after ResNet-50 is loaded."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim:
        trim(0)


def free_memory_bytes(root: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """The memory that this process may still take: the machine's, and, where there is one, that of the control group
    (version 2, which counts what is cached of files as used). 0 when the system does not say."""
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * _KIB
    except (OSError, ValueError, KeyError):
        return 0
    try:
        limit = whole_number((root / "memory.max").read_text().strip())
        stat = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        used = int((root / "memory.current").read_text()) - int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return free
    return free if limit is None else min(free, limit - used)
