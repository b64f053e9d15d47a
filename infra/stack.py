"""Starts, stops and describes LocalStack with the plugin as plain processes of this machine, on loopback only.

Nothing outlives it: it leads its own process group and session, dies with the command that started it unless it is
meant to stay, and `stop` ends whatever descends from it, from any shell.
"""

import argparse
import ctypes
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import command, processes
from infra.clients import DEFAULT_PORT, LOCAL_CREDENTIALS, make_client
from infra.errors import StepFailed
from infra.paths import Paths, paths
from infra.processes import Process
from infra.terminal import Terminal

HOST = "127.0.0.1"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Running:
    """A LocalStack that runs."""

    pid: int
    started: int
    port: int

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)

    @property
    def endpoint(self) -> str:
        """What AWS_ENDPOINT_URL must be."""
        return f"http://{HOST}:{self.port}"


def environment(where: Paths, port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """LocalStack's whole environment: nothing of the user's, AWS credentials least of all, but what is named here."""
    kept = {name: inherited[name] for name in _PASSED_ON if inherited.get(name)}
    return kept | {
        "HOME": str(where.state),
        "XDG_CACHE_HOME": str(where.state / "cache"),
        "TEMP": str(where.state / "tmp"),  # as TMPDIR, which LocalStack takes for an old setting of its own
        "FILESYSTEM_ROOT": str(where.state),
        "OVERRIDE_IN_DOCKER": "0",  # inside any container it would wipe /tmp/localstack
        "GATEWAY_LISTEN": f"{HOST}:{port}",
        "GATEWAY_SERVER": "loopback",  # the plugin's: twisted, the default, ignores the host and binds 0.0.0.0
        "LOCALSTACK_HOST": f"{HOST}:{port}",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "EAGER_SERVICE_LOADING": "0",
        "IN_MEMORY_CLIENT": "1",
        "LAMBDA_RUNTIME_EXECUTOR": "stagemaker",
        "STAGEMAKER_IMAGES": str(where.images),
        "STAGEMAKER_ENVIRONMENTS": str(where.environments),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def start(
    where: Paths, port: int, *, stays: bool, held: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Running:
    """Start LocalStack and wait until it answers. With `stays` it outlives this process; without, it dies with it.
    `held` keeps signals off while the process is born and written down. Raises StepFailed; then nothing is left."""
    begun = False
    try:
        with locked(where.state / "lock"):
            if running := status(where):
                raise StepFailed(
                    f"A stack of this checkout already runs on port {running.port}.",
                    "End it with `make stop`, or use it: `make status` says how.",
                )
            check_port(port)
            begun = True
            _clear(where)
            (where.state / "tmp").mkdir()
            with held():
                running = _spawn(where, port, stays)
            _wait_ready(where, running)
            check_loopback(where)
        return running
    except BaseException:
        if begun:  # else it is not ours
            with held():
                stop(where)
        raise


def status(where: Paths) -> Running | None:
    """The LocalStack that runs over this state, or None."""
    try:
        running = Running(**json.loads(where.record.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return running if processes.is_alive(running.process) else None


def stop(where: Paths) -> bool:
    """End LocalStack and all it started; returns when nothing is left. False when none ran. Never raises half-way:
    call it with signals held."""
    running = status(where)
    if running:
        members = processes.family(running.process)
        processes.terminate(running.process)
        processes.wait_gone([running.process], STOP_LIMIT_S)
        processes.kill(members)
        processes.wait_gone(members, STOP_LIMIT_S)
    where.record.unlink(missing_ok=True)
    _clear(where)
    return running is not None


def check_loopback(where: Paths) -> list[str]:
    """The addresses that the stack listens on, as `host:port`. Raises StepFailed if one can be reached from outside."""
    running = status(where)
    found = sorted(processes.listening(processes.family(running.process))) if running else []
    if outside := [f"{host}:{port}" for host, port in found if not ipaddress.ip_address(host).is_loopback]:
        raise StepFailed(
            f"The stack listens on {', '.join(outside)}, which other machines can reach.",
            "This is a fault of Stagemaker: please report it with .stagemaker/state/log.",
        )
    return [f"{host}:{port}" for host, port in found]


def log_tail(where: Paths, count: int = 15) -> tuple[str, ...]:
    """The last lines of LocalStack's log."""
    try:
        return tuple(where.log.read_text(errors="replace").splitlines()[-count:])
    except FileNotFoundError:
        return ()


def chosen_port(environ: Mapping[str, str], variable: str = "PORT", default: int = DEFAULT_PORT) -> int:
    """What the variable says, or the default. Raises StepFailed when it is not a port that a user may bind."""
    text = environ.get(variable) or str(default)
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise StepFailed(
            f"{variable}={text} is not a port from 1024 to 65535.", f"Choose one: {variable}={default + 34}"
        )
    return int(text)


def how_to_talk(endpoint: str) -> str:
    """What to type in another shell."""
    lines = [f"export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1"]
    lines += [" ".join(["export", *(f"{name.upper()}={value}" for name, value in LOCAL_CREDENTIALS.items())])]
    return "\n".join(lines)


def _clear(where: Paths) -> None:
    """Delete LocalStack's working files: nothing of them means anything to the next run."""
    for folder in ("tmp", "var/lib/localstack/tmp"):
        shutil.rmtree(where.state / folder, ignore_errors=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One start at a time. Raises StepFailed while another command holds the file's lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StepFailed("Another command is starting the stack of this checkout.", "Wait for it.") from None
        yield


def check_port(port: int, variable: str = "PORT") -> None:
    """Raise StepFailed when something listens on it; `variable` is what the user sets to choose another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does: old connections may linger
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StepFailed(
                f"Port {port} of {HOST} is taken ({error.strerror}).",
                f"Choose another, such as {variable}={port + 34}, and run it again.",
            ) from None


def _spawn(where: Paths, port: int, stays: bool) -> Running:
    python = where.environments / "plugin" / "bin" / "python"
    if not python.exists():
        raise StepFailed(f"The environment {python.parent.parent} is missing.", "Install it: make setup")
    parent = os.getpid()
    with open(where.log, "wb") as log:
        child = subprocess.Popen(
            [python, "-m", "localstack.runtime.main"],
            cwd=where.state,
            env=environment(where, port, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=None if stays else lambda: _die_with(parent),
        )
    child.returncode = 0  # we wait by /proc; Popen would complain of a child that outlives it, as this one may
    born = processes.find(child.pid)
    if born is None:
        raise StepFailed("LocalStack ended at once.", f"Read its log: {where.log}", log_tail(where))
    running = Running(born.pid, born.started, port)
    where.record.write_text(json.dumps(asdict(running)))
    return running


def _die_with(parent: int) -> None:
    """In the child: SIGKILL when the parent ends, however it ends (prctl(2)); LocalStack may miss a SIGTERM while it
    starts. What it runs dies with it in the same way; its files are cleared by the next start."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _wait_ready(where: Paths, running: Running) -> None:
    """Until STS and S3 really answer: its health page is content earlier."""
    session, deadline = boto3.Session(region_name="us-east-1"), time.monotonic() + START_LIMIT_S
    while True:
        if not processes.is_alive(running.process):
            raise StepFailed("LocalStack ended while starting.", f"Read its log: {where.log}", log_tail(where))
        if time.monotonic() > deadline:
            text = f"LocalStack did not answer within {START_LIMIT_S:.0f} s."
            raise StepFailed(text, f"Read its log: {where.log}", log_tail(where))
        try:
            with socket.create_connection((HOST, running.port), timeout=1):
                pass
            make_client(session, "sts", running.endpoint).get_caller_identity()
            make_client(session, "s3", running.endpoint).list_buckets()
            return
        except (OSError, BotoCoreError, ClientError):
            time.sleep(0.1)


def main(arguments: list[str] | None = None) -> int:
    """`python -m infra.stack start|stop|status`: 0 when done (status: when it runs), 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.stack", description="LocalStack with the plugin, on loopback."
    )
    parser.add_argument("command", choices=("start", "stop", "status"))
    chosen, where = parser.parse_args(arguments).command, paths()
    if chosen == "start":
        code = command.run(
            lambda interrupts: start(where, chosen_port(os.environ), stays=True, held=interrupts.held), Terminal(),
            next_step=f"Read its log: {where.log}", interrupted="Interrupted: everything was stopped.",
        )  # fmt: skip
        if code:
            return code
    if chosen == "stop":
        print("Stopped." if stop(where) else "Nothing ran.")
        return 0
    running = status(where)
    if running is None:
        print("Nothing runs: make start")
        return 1
    print(f"To talk to it:\n{how_to_talk(running.endpoint)}\nTo end it: make stop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
