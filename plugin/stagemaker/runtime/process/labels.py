"""What belongs to whom: a label in the environment of all that we start, so that what is left is found again.

Every process that a container starts inherits the label. A process number can be reused, and a file of numbers lies
after a crash; a label names its container exactly, and a pidfd holds on to the process that was read: a stranger is
never killed. The temporary folder of a container carries the same name.
"""

import hashlib
import os
import select
import shutil
import signal
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stagemaker.runtime.contract import Usage

LABEL = "STAGEMAKER_CONTAINER"
_THIS_PROCESS = uuid.uuid4().hex[:8]
_TEMPORARY = Path("/tmp")  # noqa: S108 - not TMPDIR: a temporary folder holds Unix sockets, whose paths have 107 bytes
_KILL_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class Label:
    """One container's: `text` is unique for ever, `folder` a short path for its temporary files, not made yet."""

    text: str
    folder: Path


class Labels:
    """Those over one state folder. An earlier process over the same folder used others, which `sweep` finds."""

    def __init__(self, state: Path) -> None:
        self._state = hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:8]

    def new(self, name: str) -> Label:
        """A label for a container of that name."""
        text = f"{self._state}-{_THIS_PROCESS}-{uuid.uuid4().hex[:8]}"
        return Label(f"{text}-{name}", _TEMPORARY / f"stagemaker-{text}")

    def sweep(self) -> int:
        """Kill what earlier processes over the same state left, and delete its temporary folders; how many labels."""
        found = kill_labelled(f"{self._state}-", but=f"{self._state}-{_THIS_PROCESS}-")
        for folder in self.folders():
            if not folder.name.startswith(f"stagemaker-{self._state}-{_THIS_PROCESS}-"):
                shutil.rmtree(folder, ignore_errors=True)
        return len(found)

    def folders(self) -> list[Path]:
        """The temporary folders that there are, of all processes over this state."""
        return list(_TEMPORARY.glob(f"stagemaker-{self._state}-*"))


def kill_labelled(prefix: str, *, but: str | None = None) -> set[str]:
    """Kill every process whose label begins with `prefix` and not with `but`; the labels that were found.

    Returns when they are gone, or are stuck in the kernel for longer than 10 s each."""
    found: set[str] = set()
    while killed := {label for pid in _pids() if (label := _kill_if_labelled(pid, prefix, but))}:
        found |= killed
    return found


def usage_of(label: str) -> Usage:
    """What the processes with this label use, and what those that they have waited for used."""
    cpu_ticks = memory_pages = 0
    for pid in _pids():
        with suppress(OSError, IndexError):  # it ended, or is another user's
            if _label(pid) == label:
                # proc(5): the name may hold blanks, what follows it counts from field 3. Fields 14 to 17 and 24.
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu_ticks += sum(map(int, fields[11:15]))
                memory_pages += int(fields[21])
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    return Usage(
        cpu_s=cpu_ticks / os.sysconf("SC_CLK_TCK"),
        memory_bytes=memory_pages * page_bytes,
        memory_limit_bytes=os.sysconf("SC_PHYS_PAGES") * page_bytes,
    )


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _kill_if_labelled(pid: int, prefix: str, but: str | None) -> str | None:
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        label = _label(pid)  # of the process in pidfd, or of a later one, and then the signal goes nowhere
        if label is None or not label.startswith(prefix) or (but and label.startswith(but)):
            return None
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        return label if ended.poll(_KILL_TIMEOUT_MS) else None
    except OSError:
        return None
    finally:
        os.close(pidfd)


def _label(pid: int) -> str | None:
    """None for a process without one, one that ended, and one of another user."""
    for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if entry.startswith(f"{LABEL}=".encode()):
            return os.fsdecode(entry).removeprefix(f"{LABEL}=")
    return None
