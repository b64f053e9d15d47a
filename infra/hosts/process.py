"""LocalStack with the plugin as plain processes of this machine, on loopback only.

Nothing outlives it: it leads its own process group and session, dies with the command that started it unless it is
meant to stay, and `stop` ends whatever descends from it, from any shell.
"""

import ctypes
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import processes
from infra.clients import make_client
from infra.errors import StepFailed
from infra.hosts.host import ADDRESS, RunningStack, check_port, locked
from infra.paths import Paths
from infra.processes import Process
from infra.typed import make

START_LIMIT_S = 120.0
STOP_LIMIT_S = 30.0
IAM = "strict"  # the mode, where STAGEMAKER_IAM says no other
_INHERITED = (
    "PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "EXTRA_CORS_ALLOWED_ORIGINS", "STAGEMAKER_HOSTS",
    "STAGEMAKER_IAM", "STAGEMAKER_ROOT_KEYS", "STAGEMAKER_SPOT_INTERRUPTIONS", "STAGEMAKER_TIME_COMPRESSION",
)  # fmt: skip
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class _Record:
    """What a file keeps of a LocalStack that was started, for commands in other shells."""

    pid: int
    started: int
    port: int

    @property
    def process(self) -> Process:
        return Process(self.pid, self.started)

    @property
    def stack(self) -> RunningStack:
        return RunningStack(f"process {self.pid}, started {self.started}", self.port)


def environment(paths: Paths, port: int, inherited: Mapping[str, str]) -> dict[str, str]:
    """LocalStack's whole environment: nothing of the user's, AWS credentials least of all, but what is named here."""
    kept = {"STAGEMAKER_IAM": IAM} | {name: inherited[name] for name in _INHERITED if inherited.get(name)}
    return kept | {
        "HOME": str(paths.state),
        "XDG_CACHE_HOME": str(paths.state / "cache"),
        "TEMP": str(paths.state / "tmp"),  # as TMPDIR, which LocalStack takes for an old setting of its own
        "FILESYSTEM_ROOT": str(paths.state),
        "OVERRIDE_IN_DOCKER": "0",  # inside any container it would wipe /tmp/localstack
        "GATEWAY_LISTEN": f"{ADDRESS}:{port}",
        "GATEWAY_SERVER": "loopback",  # the plugin's: twisted, the default, ignores the host and binds 0.0.0.0
        "LOCALSTACK_HOST": f"{ADDRESS}:{port}",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "EAGER_SERVICE_LOADING": "0",
        "IN_MEMORY_CLIENT": "1",
        "LAMBDA_RUNTIME_EXECUTOR": "stagemaker",
        "STAGEMAKER_IMAGES": str(paths.images),
        "STAGEMAKER_ENVIRONMENTS": str(paths.environments),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@dataclass(frozen=True)
class ProcessHost:
    """The host without Docker: LocalStack runs in its own locked environment, over one state folder."""

    paths: Paths
    environ: Mapping[str, str]
    images: tuple[str, ...] = ()
    stop_command: str = "make stop"

    def check_can_start(self, port: int) -> None:
        """Raise StepFailed when a stack of this checkout runs, or the port is taken."""
        if running := self.status():
            raise StepFailed(
                f"A stack of this checkout already runs on port {running.port}.",
                f"End it with `{self.stop_command}`, or use it: `{make('status', self.environ)}` says how.",
            )
        check_port(port)

    def start(
        self, port: int, *, stays: bool, held: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> RunningStack:
        """Start LocalStack, and wait until it answers. Without `stays` it dies with this process, even when this is
        killed. Raises StepFailed; then, as after every exception, nothing is left."""
        begun = False
        try:
            with locked(self.paths.state / "lock"):
                self.check_can_start(port)
                begun = True
                self._clear()
                (self.paths.state / "tmp").mkdir()
                with held():
                    record = self._spawn(port, stays)
                self._wait_ready(record)
                self.check_loopback()
            return record.stack
        except BaseException:
            if begun:  # else it is not ours
                with held():
                    self.stop()
            raise

    def status(self) -> RunningStack | None:
        """The LocalStack that runs over this state, or None."""
        record = self._alive()
        return record.stack if record else None

    def stop(self) -> bool:
        """End LocalStack and all it started; returns when nothing is left. False when none ran. Raises nothing."""
        record = self._alive()
        if record:
            members = processes.family(record.process)
            processes.terminate(record.process)
            processes.wait_gone([record.process], STOP_LIMIT_S)
            processes.kill(members)
            processes.wait_gone(members, STOP_LIMIT_S)
        self.paths.record.unlink(missing_ok=True)
        self._clear()
        return record is not None

    def check_loopback(self) -> list[str]:
        """The addresses that its processes listen on, by the kernel's tables. Raises StepFailed if one is not of
        loopback."""
        record = self._alive()
        found = sorted(processes.listening(processes.family(record.process))) if record else []
        if outside := [f"{host}:{port}" for host, port in found if not ipaddress.ip_address(host).is_loopback]:
            raise StepFailed(
                f"The stack listens on {', '.join(outside)}, which other machines can reach.",
                "This is a fault of Stagemaker: please report it with .stagemaker/state/log.",
            )
        return [f"{host}:{port}" for host, port in found]

    def log_tail(self) -> tuple[str, ...]:
        """The last lines of LocalStack's log, also when it has ended."""
        try:
            return tuple(self.paths.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        except FileNotFoundError:
            return ()

    def follow_log(self) -> int | None:
        """Show LocalStack's log until it ends. The exit code; None when it does not run."""
        record = self._alive()
        if record is None:
            return None
        command = ["tail", "--lines=100", "--follow", f"--pid={record.pid}", str(self.paths.log)]
        return subprocess.run(command, check=False, start_new_session=True).returncode

    def _alive(self) -> _Record | None:
        try:
            record = _Record(**json.loads(self.paths.record.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return record if processes.is_alive(record.process) else None

    def _clear(self) -> None:
        """Delete LocalStack's working files: nothing of them means anything to the next run."""
        for folder in ("tmp", "var/lib/localstack/tmp"):
            shutil.rmtree(self.paths.state / folder, ignore_errors=True)

    def _spawn(self, port: int, stays: bool) -> _Record:
        python = self.paths.environments / "plugin" / "bin" / "python"
        if not python.exists():
            raise StepFailed(f"The environment {python.parent.parent} is missing.", "Install it: make setup")
        parent = os.getpid()
        with open(self.paths.log, "wb") as log:
            child = subprocess.Popen(
                [python, "-m", "localstack.runtime.main"],
                cwd=self.paths.state,
                env=environment(self.paths, port, self.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=None if stays else lambda: _die_with(parent),
            )
        child.returncode = 0  # we wait by /proc; Popen would complain of a child that outlives it, as this one may
        born = processes.find(child.pid)
        if born is None:
            raise StepFailed("LocalStack ended at once.", f"Read its log: {self.paths.log}", self.log_tail())
        record = _Record(born.pid, born.started, port)
        self.paths.record.write_text(json.dumps(asdict(record)))
        return record

    def _wait_ready(self, record: _Record) -> None:
        """Until STS, S3 and the plugin really answer: its health page says so earlier."""
        session, deadline = boto3.Session(region_name="us-east-1"), time.monotonic() + START_LIMIT_S
        endpoint = record.stack.endpoint
        while True:
            if not processes.is_alive(record.process):
                reason = "LocalStack ended while starting."
                raise StepFailed(reason, f"Read its log: {self.paths.log}", self.log_tail())
            if time.monotonic() > deadline:
                reason = f"LocalStack did not answer within {START_LIMIT_S:.0f} s."
                raise StepFailed(reason, f"Read its log: {self.paths.log}", self.log_tail())
            try:
                with socket.create_connection((ADDRESS, record.port), timeout=1):
                    pass
                make_client(session, "sts", endpoint).get_caller_identity()
                make_client(session, "s3", endpoint).list_buckets()
                make_client(session, "sagemaker", endpoint).list_models()
                return
            except (OSError, BotoCoreError, ClientError):
                time.sleep(0.1)


def _die_with(parent: int) -> None:
    """In the child: SIGKILL when the parent ends, however it ends (prctl(2)); LocalStack may miss a SIGTERM while it
    starts. What it runs dies with it in the same way; its files are cleared by the next start."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
