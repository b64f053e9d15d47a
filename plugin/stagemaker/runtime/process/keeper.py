"""The process between LocalStack and one container: it makes "nothing of it is left" true whatever dies first.

It runs alone (`python -I -S keeper.py <temporary folder> <program> <argument>...`) and imports nothing of ours. The
program's output goes where the keeper's goes. Standard input is the control pipe: a `T` is SIGTERM for the program; a
`K`, or the end of the pipe because LocalStack is gone, even by SIGKILL, is SIGKILL for all. As a child subreaper
(prctl(2), Linux) the keeper is given every orphan of the program's descendants, those that left the session too, and it
ends only after the last one, when it has deleted their temporary folder. It exits with the program's exit code, 128 + n
when signal n killed it, 127 when it could not be started.
"""

import ctypes
import os
import select
import signal
import sys
from collections.abc import Iterator

TERMINATE, KILL = b"T", b"K"
_CONTROL = 0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main(temporary: str, command: list[str]) -> int:
    """Run `command` to its end, or to an order; nothing that it started is left on return, nor its folder."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    program = _start(command)
    code = _follow(program, wake)
    _kill_rest()
    _delete(temporary)
    return code


def _start(command: list[str]) -> int:
    keeper = os.getpid()
    program = os.fork()
    if program:
        return program
    try:
        os.setsid()  # so that a program that signals its own group does not hit the keeper
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:  # it died before the line above
            os._exit(128 + signal.SIGKILL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), _CONTROL)
        for ignored_by_python in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored_by_python, signal.SIG_DFL)
        os.execv(command[0], command)  # noqa: S606 - it is what a keeper is for
    except OSError as error:
        os.write(2, f"cannot start {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def _follow(program: int, wake: int) -> int:
    while True:
        ready, _, _ = select.select([_CONTROL, wake], [], [])
        if wake in ready:
            os.read(wake, 4096)
            for pid, code in _reaped():
                if pid == program:
                    return code
        elif os.read(_CONTROL, 1) == TERMINATE:
            os.kill(program, signal.SIGTERM)
        else:
            os.kill(program, signal.SIGKILL)
            return _code(os.waitpid(program, 0)[1])


def _reaped() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, _code(status)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _kill_rest() -> None:
    """Every round kills the children there are; their own children are then ours, until there is none."""
    while True:
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _delete(folder: str) -> None:
    import shutil  # which costs milliseconds that a start does not have

    shutil.rmtree(folder, ignore_errors=True)


def _children() -> Iterator[int]:
    """They cannot be other processes: an ended child keeps its number until we wait for it."""
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - the import of pathlib costs 20 ms a start
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid():
            yield int(pid)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    os._exit(main(sys.argv[1], sys.argv[2:]))  # at once: there is nothing to flush or to clean up
