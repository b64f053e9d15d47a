"""What a process and its folders hold at this moment, as the kernel counts it.

It imports nothing of ours, so that its text can be given to the Python of a container: `python -c <text> <process id>
<folder>...` prints the counts as JSON.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

_MB = 1e6


def count(pid: int, folders: Iterable[str]) -> dict[str, float]:
    """Of the process: those that descend from it, zombies too, its threads, its file descriptors and its memory. Of the
    folders: what is below them. Raises FileNotFoundError where the process has ended."""
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
    files, below, size = _tree(folders)
    return {
        "processes": descendants(pid, _parents()),
        "threads": int(status["Threads"]),
        "file descriptors": sum(1 for _ in (proc / "fd").iterdir()),
        "files": files,
        "folders": below,
        "files, MB": round(size / _MB, 1),
        "memory (RSS), MB": round(int(status["VmRSS"].split()[0]) * 1024 / _MB, 1),
    }


def descendants(pid: int, parents: Mapping[int, int]) -> int:
    """How many processes descend from `pid`, where `parents` has the parent of each process."""
    children: dict[int, list[int]] = {}
    for child, parent in parents.items():
        children.setdefault(parent, []).append(child)
    found, waiting = 0, [pid]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += len(mine)
        waiting += mine
    return found


def _parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
    return found


def _tree(folders: Iterable[str]) -> tuple[int, int, int]:
    """The number of files and of folders, and the bytes of the files."""
    files = below = size = 0
    for top in folders:
        for folder, subfolders, names in Path(top).walk():
            files, below = files + len(names), below + len(subfolders)
            for name in names:
                try:
                    size += (folder / name).lstat().st_size
                except FileNotFoundError:
                    continue  # it was deleted meanwhile
    return files, below, size


if __name__ == "__main__":
    print(json.dumps(count(int(sys.argv[1]), sys.argv[2:])))
