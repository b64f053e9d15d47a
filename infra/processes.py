"""What Linux says about our processes: who descends from whom, since when, and what they listen on.

Read from /proc, so that nothing has to be installed. A process is named by its id and its start time together, for
ids are used again.
"""

import ipaddress
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTENING = {"tcp": "0A", "tcp6": "0A", "udp": "07", "udp6": "07"}  # include/net/tcp_states.h


@dataclass(frozen=True, order=True)
class Process:
    """`started` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    started: int


def find(pid: int) -> Process | None:
    """The process of that id, or None when there is none or only its corpse is left."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in "ZX" else Process(pid, int(fields[19]))


def is_alive(process: Process) -> bool:
    """Whether this very process still runs."""
    return find(process.pid) == process


def family(process: Process) -> set[Process]:
    """The process and all that descend from it now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = set(), [process.pid] if is_alive(process) else []
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if member := find(pid):
            found.add(member)
    return found


def kill(processes: Iterable[Process]) -> None:
    """SIGKILL to each that still runs."""
    for process in processes:
        if is_alive(process):
            _signal(process, signal.SIGKILL)


def terminate(process: Process) -> None:
    """SIGTERM, if it still runs."""
    if is_alive(process):
        _signal(process, signal.SIGTERM)


def wait_gone(processes: Iterable[Process], timeout_s: float) -> set[Process]:
    """Those that still run after at most `timeout_s`. Reaps those that are our own children."""
    deadline, left = time.monotonic() + timeout_s, set(processes)
    while True:
        for process in left:
            _reap(process.pid)
        left = {process for process in left if is_alive(process)}
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def listening(processes: Iterable[Process]) -> set[tuple[str, int]]:
    """The addresses and ports on which the processes accept TCP connections or UDP packets."""
    inodes = {inode for process in processes for inode in _socket_inodes(process.pid)}
    found = set()
    for protocol, state in _LISTENING.items():
        for line in (_PROC / "net" / protocol).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == state and fields[9] in inodes:
                address, port = fields[1].split(":")
                found.add((_address(address), int(port, 16)))
    return found


def _address(text: str) -> str:
    """The kernel prints an address as 32-bit words in the machine's byte order (little-endian here)."""
    words = [bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the command's name, which may hold anything: state, parent, ..."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    try:
        for entry in (_PROC / str(pid) / "fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _signal(process: Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
