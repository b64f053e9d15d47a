"""The first process of the host, in its own namespaces: it starts cloud-init, reaps, and ends everything when the host
is shut down. Its exit code is 0 then, or REBOOTS when the host is to boot anew."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import system
from host import POWEROFF, REBOOT, REBOOTS, inside

GRACE_S = 60.0  # (ours) from SIGTERM to SIGKILL for what runs when the host is shut down; systemd has 90
_SIGNALS = {signal.SIGCHLD, POWEROFF, REBOOT}


def main() -> None:
    """Until a signal ends it all."""
    signal.pthread_sigmask(signal.SIG_SETMASK, _SIGNALS)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # with which `_end_all` ends the others
    _say("boots")
    system.prepare(os.environ)
    program = [sys.executable, "-Es", str(Path(__file__).with_name("cloud_init.py"))]
    started = subprocess.Popen(
        program, env=inside(os.environ), stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_unblock
    )
    started.returncode = 0  # it is reaped here
    while (got := signal.sigwait(_SIGNALS)) == signal.SIGCHLD:
        _reap()
    _say("reboots" if got == REBOOT else "powers down")
    _end_all()
    sys.exit(REBOOTS if got == REBOOT else 0)


def _unblock() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass


def _end_all() -> None:
    """SIGTERM to every process, those in containers too. What is left after a while ends with this one."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGTERM)
    end = time.monotonic() + GRACE_S
    while time.monotonic() < end and any(_is_other(each.name) for each in Path("/proc").iterdir()):
        _reap()
        time.sleep(0.05)


def _is_other(name: str) -> bool:
    """Whether it is the number of another process."""
    return name.isdecimal() and name != "1"


def _say(what: str) -> None:
    print(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] host: {what}", flush=True)


if __name__ == "__main__":
    main()
