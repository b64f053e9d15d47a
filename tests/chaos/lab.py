"""A second Docker engine of the suite's own, and what is broken on it: the engine, its disk, and LocalStack's clock.

The engine runs in a network namespace and a mount namespace of its own: its bridges and firewall rules are not the
machine's, and its disk is a tmpfs that only it and its LocalStack see. LocalStack runs beside it as a process, so that
it lives on when the engine is restarted.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_port
from infra.clients import connect
from infra.hosts import process
from infra.paths import paths
from tests.chaos.calls import BROKEN_OFF
from tests.chaos.engine import Engine
from tests.chaos.forward import Forward
from tests.chaos.load import Load
from tests.chaos.programs import IMAGE
from tests.chaos.stack import REGION
from tests.chaos.trial import Environment, Trial
from tests.chaos.workload import Workload, streams, until

NETWORK = "stagemaker-chaos-lab"
DISK_BYTES = 2 << 30
START_S = 60.0
BACK_S = 60.0
AWAY_S = 15.0  # a laptop that restarts Docker Desktop needs longer
_COMMANDS = ("unshare", "nsenter", "setpriv", "mount", "ip", "fallocate")
_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
_UNAVAILABLE = "503 ServiceUnavailable"
_MODEL_ERROR = "424 ModelError"


class LabMissing(Exception):
    """The machine has not what the lab needs; the message says what."""


@dataclass(frozen=True)
class _Daemon:
    """How the engine of this machine was started: its program, and the PATH on which it finds the others."""

    program: str
    path: str


def find_daemon() -> _Daemon:
    """The engine that runs on this machine. LabMissing where none does, or where we may not see it."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "dockerd":
                variables = (entry / "environ").read_bytes().split(b"\0")
                path = next((v[5:].decode() for v in variables if v.startswith(b"PATH=")), os.defpath)
                return _Daemon(str((entry / "exe").readlink()), path)
    raise LabMissing("no process dockerd that we may look at runs on this machine, so a second one cannot be started")


class Lab:
    """The engine, from `start` to `close`. For one thread, the main one: what it starts dies with it."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise LabMissing("only root may start a second engine")
        if missing := [command for command in _COMMANDS if not shutil.which(command)]:
            raise LabMissing(f"the command {missing[0]} is missing")
        self._daemon = find_daemon()
        self.folder = Path(tempfile.mkdtemp(prefix="stagemaker-chaos-"))
        self.disk = self.folder / "disk"  # of the namespace only
        self.engine = Engine(f"unix://{self.folder}/docker.sock")
        self._holder: subprocess.Popen[bytes] | None = None
        self._dockerd: subprocess.Popen[bytes] | None = None

    @property
    def holder(self) -> int:
        """The process whose namespaces everything here is in."""
        if self._holder is None:
            raise LabMissing("the second engine does not run")
        return self._holder.pid

    def start(self) -> None:
        """Make the namespaces, start the engine, and give it the suite's image. LabMissing when that does not work."""
        self.disk.mkdir()
        mount = f"mount -t tmpfs -o size={DISK_BYTES} lab {self.disk}"
        ready = f"ip link set lo up && {mount} && echo ready && exec sleep infinity"
        command = ["unshare", "--net", "--mount", "--propagation", "slave", "setpriv", "--pdeathsig", "KILL"]
        self._holder = subprocess.Popen([*command, "sh", "-c", ready], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = self._holder.stdout.readline() if self._holder.stdout else b""
        if said.strip() != b"ready":
            raise LabMissing(f"no namespaces can be made: {said.decode().strip()}")
        try:
            self.start_engine()
        except RuntimeError as error:
            raise LabMissing(str(error)) from error
        saved = subprocess.Popen(["docker", "save", IMAGE], stdout=subprocess.PIPE)
        subprocess.run(
            ["docker", "load", "--quiet"], env=self.engine.variables, stdin=saved.stdout, check=True, timeout=300,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        if saved.stdout:
            saved.stdout.close()
        saved.wait()
        self.engine.run("network", "create", "--label", "com.stagemaker=1", NETWORK)

    def start_engine(self) -> None:
        """Start the engine over its disk, and wait until it answers. RuntimeError with the end of its log otherwise."""
        (self.folder / "dockerd.pid").unlink(missing_ok=True)
        command = [
            self._daemon.program, "--data-root", self.disk / "engine", "--exec-root", self.folder / "exec",
            "--pidfile", self.folder / "dockerd.pid", "--host", self.engine.address, "--log-driver", "json-file",
        ]  # fmt: skip
        variables = {**os.environ, "PATH": self._daemon.path}
        with open(self.folder / "dockerd.log", "ab") as log:
            self._dockerd = self.run_inside(*map(str, command), variables=variables, output=log.fileno())
        end_s = time.monotonic() + START_S
        while time.monotonic() < end_s and self._dockerd.poll() is None:
            with suppress(RuntimeError):
                self.engine.run("version", limit_s=5)
                return
            time.sleep(0.2)
        raise RuntimeError(f"the second engine does not start: {self._log()}")

    def stop_engine(self) -> None:
        """SIGTERM, as at a restart: it ends its containers; after 40 s SIGKILL."""
        if self._dockerd is None:
            return
        self._dockerd.terminate()
        try:
            self._dockerd.wait(40)
        except subprocess.TimeoutExpired:
            self._dockerd.kill()
            self._dockerd.wait()
        self._dockerd = None

    def signal_engine(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._dockerd is not None:
            self._dockerd.send_signal(number)

    def run_inside(
        self, *command: str, variables: Mapping[str, str] = os.environ, output: int | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start a program in the namespaces, with that environment. It is told to end (SIGTERM) when the suite dies."""
        inside = ["nsenter", "--target", str(self.holder), "--net", "--mount", "setpriv", "--pdeathsig", "TERM"]
        return subprocess.Popen(
            [*inside, *command],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True,
        )

    def inside(self, *command: str) -> None:
        """Run a program in the namespaces to its end. CalledProcessError when it fails."""
        program = self.run_inside(*command)
        if code := program.wait(60):
            raise subprocess.CalledProcessError(code, command)

    def free_bytes(self) -> int:
        """What is free on the disk."""
        found = os.statvfs(f"/proc/{self.holder}/root{self.disk}")
        return found.f_bavail * found.f_frsize

    def close(self) -> None:
        """End the engine with all that it runs, and the namespaces."""
        with suppress(RuntimeError, LabMissing):
            if self._dockerd is not None and (running := self.engine.run("ps", "--all", "--quiet").split()):
                self.engine.run("rm", "--force", *running)
        self.stop_engine()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            if self._holder.stdout:
                self._holder.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _log(self) -> str:
        return " ".join((self.folder / "dockerd.log").read_text(errors="replace").splitlines()[-3:])


@dataclass(kw_only=True)
class LabEnvironment(Environment):
    """A LocalStack beside the second engine. `clock` is the file that says how far its clock is off; None where
    libfaketime is not installed."""

    lab: Lab
    clock: Path | None


@contextmanager
def lab_environment(lab: Lab, rate_per_s: float) -> Iterator[LabEnvironment]:
    """A new LocalStack with the workload on it, under load. At the end it is gone, with all that it started."""
    port = free_port()
    with ExitStack() as ends:
        forward = Forward(port, lab.holder)
        ends.callback(forward.close)
        folder = Path(tempfile.mkdtemp(dir=lab.folder))
        clock = _clock(folder)
        localstack = _start_localstack(lab, port, folder, clock)
        ends.callback(_end, localstack)
        url = f"http://127.0.0.1:{port}"
        _wait_until_it_answers(url, localstack, folder)
        clients = connect("local", REGION, {"AWS_ENDPOINT_URL": url})
        workload = Workload(clients, function=False)
        workload.make()
        load = Load(url, streams(rate_per_s, function=False))
        load.start()
        ends.callback(load.stop)
        yield LabEnvironment(
            url=url,
            engine=lab.engine,
            network=NETWORK,
            clients=clients,
            load=load,
            workload=workload,
            lab=lab,
            clock=clock,
        )


def restart_the_engine(environment: LabEnvironment, trial: Trial) -> None:
    """As `systemctl stop docker`, and then start."""
    job = environment.workload.start_job("engine", steps=6000)
    environment.workload.training(job)
    since_s = trial.did("the engine is told to end (SIGTERM); a job and two instances run")
    environment.lab.stop_engine()
    trial.did(f"the engine has ended, and is away for {AWAY_S:.0f} s")
    time.sleep(AWAY_S)
    environment.lab.start_engine()
    started_s = trial.did("the engine runs again")
    ended = environment.workload.ended(job)
    reason = str(ended.get("FailureReason"))
    trial.did(f"the job is {ended['TrainingJobStatus']}: {reason}")
    trial.check("the job is Failed, and its reason says how it ended", ended["TrainingJobStatus"] == "Failed", reason)
    with suppress(AssertionError):
        environment.workload.wait_in_service(BACK_S)
    back_s = trial.did(f"the endpoint is {environment.workload.endpoint_status()}")
    serving = environment.workload.in_service()
    trial.check(f"all instances serve again within {BACK_S:.0f} s", serving, f"{back_s - started_s:.1f} s")
    why = "calls from the end of the engine until instances serve again"
    trial.allow(why, {_MODEL_ERROR, _UNAVAILABLE, BROKEN_OFF}, since_s, back_s)
    done = _run_to_end(environment, "after", inputs=False)
    trial.check("a new job completes", done == "Completed", done)
    left = until(lambda: environment.hosts(job), lambda found: not found, 30)
    trial.check("nothing of the failed job is left", left == [], left)
    environment.workload.start_steady_job()  # the one before has failed as well


def pause_the_engine(environment: LabEnvironment, trial: Trial) -> None:
    """The engine answers nothing for 15 s; containers run on."""
    trial.undo.callback(environment.lab.signal_engine, signal.SIGCONT)
    environment.lab.signal_engine(signal.SIGSTOP)
    trial.did("the engine stands still for 15 s (SIGSTOP)")
    time.sleep(15)
    environment.lab.signal_engine(signal.SIGCONT)
    trial.did("it goes on")
    done = _run_to_end(environment, "after", inputs=False)
    trial.check("a new job completes", done == "Completed", done)
    status = environment.workload.endpoint_status()
    trial.check("every instance still serves", environment.workload.in_service(), status)


def fill_the_disk(environment: LabEnvironment, trial: Trial) -> None:
    """Nothing is free on the disk of the engine and of LocalStack."""
    lab, ballast = environment.lab, environment.lab.disk / "ballast"
    environment.workload.put_input(4 << 20)
    trial.undo.callback(lab.inside, "rm", "-f", str(ballast))
    lab.inside("fallocate", "--length", str(lab.free_bytes() - 65536), str(ballast))
    trial.did("64 KiB are free on the disk")
    failed = _run_to_end(environment, "full", inputs=True)
    trial.did(f"a job with 4 MiB of data: {failed}")
    trial.check("a job that needs the disk fails, and says that it is full", "No space left" in failed, failed)
    status = environment.workload.endpoint_status()
    trial.check("the endpoint serves on", environment.workload.in_service(), status)
    lab.inside("rm", "-f", str(ballast))
    trial.did("there is space again")
    done = _run_to_end(environment, "again", inputs=True)
    trial.check("a new job completes", done == "Completed", done)


def jump_the_clock(environment: LabEnvironment, trial: Trial) -> None:
    """LocalStack's clock goes forward by two hours, then back by two."""
    if environment.clock is None:
        raise LabMissing("libfaketime is not installed (apt install libfaketime)")
    workload = environment.workload
    job = workload.start_job("clock", steps=150, limit_s=1800)
    workload.training(job)
    environment.clock.write_text("+7200\n")
    trial.did("LocalStack's clock is two hours fast; a job that may run for half an hour goes on")
    time.sleep(5)
    now = workload.job(job)
    said = f"{now['TrainingJobStatus']} {now['SecondaryStatus']} {now.get('FailureReason', '')}"
    trial.check("two hours on the clock are no two hours of a job", now["SecondaryStatus"] == "Training", said)
    environment.clock.write_text("+0\n")
    trial.did("the clock is right again: it jumps back by two hours")
    ended = workload.ended(job)
    said = f"{ended['TrainingJobStatus']} {ended['SecondaryStatus']} {ended.get('FailureReason', '')}"
    trial.check("the job completes", ended["SecondaryStatus"] == "Completed", said)
    environment.clock.write_text("+7200\n")
    since_s = trial.did("the clock is fast again, and one of two instances is killed")
    environment.engine.run("kill", environment.instances()[0])
    until_s = trial.did("it is dead")
    time.sleep(0.6)  # so that its end is noticed, and a restart is due a second later
    environment.clock.write_text("+0\n")
    trial.did("the clock jumps back by two hours")
    trial.allow("calls that the killed instance held", {_MODEL_ERROR}, since_s, until_s)
    with suppress(AssertionError):
        workload.wait_in_service(30)
    took_s = trial.did(f"the endpoint is {workload.endpoint_status()}") - until_s
    trial.check("the killed instance serves again within 30 s", workload.in_service(), f"{took_s:.1f} s")


def _run_to_end(environment: LabEnvironment, name: str, *, inputs: bool) -> str:
    """A short job, with the input or without; how it ended."""
    job = environment.workload.start_job(name, inputs=inputs, steps=1)
    environment.workload.ended(job)
    return environment.workload.job_status(job)


def _clock(folder: Path) -> Path | None:
    if not list(Path("/").glob(_FAKETIME.removeprefix("/"))):
        return None
    (folder / "clock").write_text("+0\n")
    return folder / "clock"


def _start_localstack(lab: Lab, port: int, folder: Path, clock: Path | None) -> "subprocess.Popen[bytes]":
    """In the namespaces, over a state folder on the disk that can be filled; its log lies elsewhere."""
    state = lab.disk / folder.name
    lab.inside("mkdir", "-p", str(state / "tmp"))
    gateway = lab.engine.run("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", NETWORK)
    home = paths({"STAGEMAKER_STATE": str(state)})
    settings = process.environment(home, port, os.environ) | {
        "GATEWAY_LISTEN": f"127.0.0.1:{port},{gateway}:{port}",
        "STAGEMAKER_RUNTIME": "docker",
        "STAGEMAKER_NETWORK": NETWORK,
        "STAGEMAKER_GATEWAY_URL": f"http://{gateway}:{port}",
        "DOCKER_HOST": lab.engine.address,
    }
    if clock is not None:
        settings |= {
            "LD_PRELOAD": str(next(Path("/").glob(_FAKETIME.removeprefix("/")))),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    python = home.environments / "plugin" / "bin" / "python"
    with open(folder / "log", "wb") as log:
        return lab.run_inside(str(python), "-m", "localstack.runtime.main", variables=settings, output=log.fileno())


def _wait_until_it_answers(url: str, localstack: "subprocess.Popen[bytes]", folder: Path) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and localstack.poll() is None:
        with suppress(Exception):
            connect("local", REGION, {"AWS_ENDPOINT_URL": url}).s3.list_buckets()
            return
        time.sleep(0.2)
    raise RuntimeError("LocalStack does not start: " + (folder / "log").read_text(errors="replace").strip()[-300:])


def _end(localstack: "subprocess.Popen[bytes]") -> None:
    localstack.send_signal(signal.SIGINT)
    try:
        localstack.wait(40)
    except subprocess.TimeoutExpired:
        localstack.kill()
        localstack.wait()
