"""The container's first process: it keeps the host in namespaces of its own, and answers it.

What an instance runs must not be root on the machine, and yet run containers. So root of the host is a user of the
machine without rights, `FIRST_ID`, in a user namespace where it may mount and make namespaces (user_namespaces(7)). The
host's files are the folder /host of the image, and those of the container are not seen from there. Out here only this
program and the relay run.

SIGTERM and SIGRTMIN+4 shut the host down, SIGRTMIN+5 boots it anew, as in systemd.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import system

POWEROFF, REBOOT = signal.SIGRTMIN + 4, signal.SIGRTMIN + 5
REBOOTS = 99  # the exit code of init.py that asks for another boot
FIRST_ID, IDS = 100_000, 65_536  # the machine's user that is root of the host; how many users the host has
ROOT, STORE = Path("/host"), Path("/volume")  # the host's files, and a volume for what podman keeps
_HERE = Path(__file__).parent
_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, POWEROFF, REBOOT}
_NOSUID, _NODEV, _NOEXEC, _BIND, _REC, _PRIVATE, _DETACH = 2, 4, 8, 1 << 12, 1 << 14, 1 << 18, 2  # mount(2), umount(2)
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}  # syscalls(2): libc has no function for it
_SEEN = ("/dev", "/sys", "/etc/resolv.conf", "/etc/hosts", "/etc/hostname")  # of the container, within the host
_LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Boot until the host is shut down."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    os.chown(STORE, FIRST_ID, FIRST_ID)  # the engine makes it
    relay = _start_relay()
    inside = _boot()
    while True:
        got = signal.sigwait(_SIGNALS)
        if got != signal.SIGCHLD:
            os.kill(inside, REBOOT if got == REBOOT else POWEROFF)
            continue
        for ended, code in _reap():
            if ended == relay:
                relay = _start_relay()
            if ended == inside and code != REBOOTS:
                sys.exit(0 if code == 0 else 1)
            if ended == inside:
                inside = _boot()


def _start_relay() -> int:
    started = subprocess.Popen([sys.executable, "-Es", str(_HERE / "relay.py")], preexec_fn=_unblock)
    started.returncode = 0  # it is reaped here
    return started.pid


def _boot() -> int:
    """The process whose end is the host's, and to which the signals go."""
    ready, mapped = os.pipe(), os.pipe()
    between = os.fork()
    if between == 0:
        try:
            _enter(ready[1], mapped[0])
        except BaseException:  # noqa: BLE001 - nothing of it may go on
            traceback.print_exc()
        finally:
            os._exit(1)
    os.read(ready[0], 1)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{between}/{name}").write_text(f"0 {FIRST_ID} {IDS}\n")
    os.write(mapped[1], b".")
    for end in (*ready, *mapped):
        os.close(end)
    return between


def _enter(ready: int, mapped: int) -> None:
    """In a process of its own: become root of a new host, start its first process, and pass on signals to it."""
    os.unshare(os.CLONE_NEWUSER)
    os.write(ready, b".")
    os.read(mapped, 1)
    os.setgroups([])
    os.setgid(0)
    os.setuid(0)
    os.unshare(os.CLONE_NEWNS | os.CLONE_NEWPID | os.CLONE_NEWIPC)
    first = os.fork()
    if first == 0:
        _move_in()
        os.execve(sys.executable, [sys.executable, "-Es", str(_HERE / "init.py")], dict(os.environ))  # noqa: S606
    while True:
        got = signal.sigwait(_SIGNALS)
        if got != signal.SIGCHLD:
            os.kill(first, got)
            continue
        for ended, code in _reap():
            if ended == first:
                os._exit(code)


def _move_in() -> None:
    """Have the host's folder for the root of all files."""
    _mount("none", "/", "", _REC | _PRIVATE)
    _mount(str(ROOT), str(ROOT), "", _BIND | _REC)
    for path in _SEEN:
        _mount(path, f"{ROOT}{path}", "", _BIND | _REC)
    _mount(str(STORE), f"{ROOT}/var/lib/containers", "", _BIND)
    _mount("proc", f"{ROOT}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    os.chdir(ROOT)
    _check(_LIBC.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "/")
    _check(_LIBC.umount2(b".", _DETACH), "/")
    os.chdir("/")


def inside(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of the host: those that cloud-init gives to user data, and those by which AWS's clients find the
    stage, which are the only difference from AWS that user data can see here."""
    known = {name: value for name, value in environment.items() if name in system.PASSED_ON}
    return {"PATH": system.PATH, "LANG": "C.UTF-8", **known}


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _check(_LIBC.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), None), target)


def _check(result: int, path: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _reap() -> list[tuple[int, int]]:
    """The processes that have ended, with their exit codes."""
    ended = []
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0] != 0:
            ended.append((found[0], os.waitstatus_to_exitcode(found[1])))
    return ended


if __name__ == "__main__":
    print(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] host: starts", flush=True)
    main()
