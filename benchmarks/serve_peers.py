"""The servers of the benchmark serve_speed: ours, its peers, each in an environment of its own, and an empty one.

A peer that cannot be installed or does not start here is left out, and the figures say why.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.serve_load import whole_answer
from infra.paths import CHECKOUT

START_S, END_S = 300.0, 20.0
ENVIRONMENTS = CHECKOUT / ".stagemaker" / "env"
_PROGRAMS = CHECKOUT / "benchmarks" / "serve_programs"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class CannotRun(Exception):
    """A peer cannot be measured on this machine; the message says why."""


@dataclass(frozen=True)
class Peer:
    """A server that others write: its environment, its program in serve_programs/, and the path of its answers. `needs`
    is a program that must be on the PATH."""

    environment: str
    program: str
    path: str = "/invocations"
    needs: str = ""


PEERS = {
    "fastapi": Peer("dev", "fastapi_torch.py"),
    "litserve": Peer("bench-litserve", "litserve_torch.py"),
    "bentoml": Peer("bench-bentoml", "bentoml_torch.py"),
    "mosec": Peer("bench-mosec", "mosec_torch.py"),
    "ray": Peer("bench-ray", "ray_torch.py"),
    "torchserve": Peer("bench-torchserve", "torchserve_torch.py", "/predictions/model", "java"),
    "sagemaker-pytorch": Peer("bench-torchserve", "sagemaker_pytorch_torch.py", "/predictions/model", "java"),
}


@dataclass(frozen=True)
class Server:
    """A running server: its address, its process, and the seconds from its start to its first answer of a photo."""

    address: tuple[str, int]
    process: "subprocess.Popen[bytes]"
    first_answer_s: float

    def memory_mb(self) -> float:
        """The proportional set size of the process and of all that it started."""
        return sum(_pss_kib(pid) for pid in _family(self.process.pid)) / 1024

    def cpu_s(self) -> float:
        """The seconds of the CPU that the process and all that it started have taken."""
        return sum(_ticks(pid) for pid in _family(self.process.pid)) / _TICKS_PER_S


def names(text: str) -> tuple[str, ...]:
    """The peers that a user asks for: their names, or `all`. Raises ValueError for another name."""
    found = tuple(PEERS) if text == "all" else tuple(text.split())
    if unknown := [name for name in found if name not in PEERS]:
        raise ValueError(f"PEERS knows {', '.join(PEERS)} and all, not {', '.join(unknown)}.")
    return found


def install(name: str) -> None:
    """Makes the peer's environment as its lock says. Raises CannotRun."""
    peer = PEERS[name]
    if peer.needs and not shutil.which(peer.needs):
        raise CannotRun(f"there is no {peer.needs} on the PATH")
    done = subprocess.run(
        [CHECKOUT / "scripts" / "setup", peer.environment], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRun(f"its environment cannot be made: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


@contextmanager
def running_peer(name: str, backbone: str, folder: Path, request: bytes) -> Iterator[Server]:
    """Runs the peer until the end of the block, with `folder` for its files. Raises CannotRun."""
    peer = PEERS[name]
    folder.mkdir()
    try:
        with running(peer.environment, [peer.program, backbone], {"TMPDIR": str(folder)}, request) as server:
            yield server
    except TimeoutError as error:
        raise CannotRun(str(error)) from error


@contextmanager
def running(
    environment: str, command: Sequence[str | Path], variables: Mapping[str, str], request: bytes
) -> Iterator[Server]:
    """Runs a server on a free port until the end of the block, which begins with its first answer. Raises
    TimeoutError."""
    address = ("127.0.0.1", free_port())
    port = [] if "SAGEMAKER_BASE_DIR" in variables else [str(address[1])]
    home = {name: os.environ[name] for name in ("HOME", "JAVA_HOME") if name in os.environ}
    settings = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CHECKOUT),
        "OMP_NUM_THREADS": "1",
        "SAGEMAKER_BIND_TO_PORT": str(address[1]),
    }
    began_s = time.perf_counter()
    with subprocess.Popen(
        [ENVIRONMENTS / environment / "bin" / "python", *command, *port],
        env=home | settings | dict(variables),
        cwd=_PROGRAMS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield Server(address, process, _first_answer_s(process, address, request, began_s))
        finally:
            _end(process)


def _first_answer_s(
    process: "subprocess.Popen[bytes]", address: tuple[str, int], request: bytes, began_s: float
) -> float:
    while not _is_answered(address, request):
        if process.poll() is not None:
            raise TimeoutError(f"it ends with {process.returncode} before its first answer")
        if time.perf_counter() - began_s > START_S:
            raise TimeoutError(f"it answers no photo within {START_S:.0f} s")
        time.sleep(0.01)
    return time.perf_counter() - began_s


def _is_answered(address: tuple[str, int], request: bytes) -> bool:
    """Whether the server answers this request with 200 now."""
    received = b""
    try:
        with socket.create_connection(address, timeout=START_S) as connection:
            connection.sendall(request)
            while (status := whole_answer(received)) is None and (data := connection.recv(65_536)):
                received += data
    except OSError:
        return False
    return status == 200


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks the server to end, and kills whatever of it is left after END_S."""
    family = _family(process.pid)
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
    for pid in family[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _family(pid: int) -> list[int]:
    """The process and its descendants."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())  # a thread that starts a process is its parent
        children = [child for task in tasks for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        children = []
    return [pid, *(member for child in children for member in _family(int(child)))]


def _pss_kib(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _ticks(pid: int) -> int:
    """User and system time, without that of children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
