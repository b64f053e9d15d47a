"""How much memory there is for photos that are kept, and how the C library treats what is freed."""

import ctypes
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

MEMORY_SHARE = 0.25  # (ours) of the memory that is free when the training begins; the network needs most of it
DISK_SHARE = 0.5  # (ours) of what is free where temporary files lie
_KIB = 1024
_MALLOPT_TRIM_THRESHOLD, _MALLOPT_MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass(frozen=True)
class Room:
    """The bytes that kept photos may take in memory, and in a temporary file."""

    memory_bytes: int
    disk_bytes: int


def room_for_photos() -> Room:
    """A share of what is free now. Nothing in memory where the system does not say what is free."""
    free_disk = shutil.disk_usage(tempfile.gettempdir()).free
    return Room(int(MEMORY_SHARE * free_memory_bytes()), int(DISK_SHARE * free_disk))


def free_memory_bytes(root: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """The memory that this process may still take: the machine's, and, where there is one, that of the control group
    (version 2, which counts what is cached of files as used). 0 when the system does not say."""
    try:
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * _KIB
    except (OSError, ValueError, KeyError):
        return 0
    try:
        limit = int((root / "memory.max").read_text())  # the word "max" where there is no limit
        stat = dict(line.split() for line in (root / "memory.stat").read_text().splitlines())
        used = int((root / "memory.current").read_text()) - int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return free
    return max(0, min(free, limit - used))


def keep_freed_memory() -> None:
    """Lets the process keep what it frees, for its next tensors.

    glibc gives each tensor above 32 MiB to the system and takes a new one, which the system fills with zeros: a third
    of the CPU time of a training step with EfficientNet-Lite0 and 32 photos. Does nothing with another C library."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_MALLOPT_MMAP_MAX, 0)
        mallopt(_MALLOPT_TRIM_THRESHOLD, -1)
