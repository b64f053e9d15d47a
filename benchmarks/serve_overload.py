"""What the serving container does while ten times as many requests come as it can answer.

A round is a minute. Requests come at random moments, as from many callers, and are sent when they are due, whatever
became of those before: an open loop. A refused caller's connection rests, since our server reads nothing from it for
0.2 s. Beside them, /ping is asked four times a second. What the server answers at most is measured right before and
after the minute, with 8 clients.

The callers are one process, which shares the cores with the server. Where it may (as root), it runs before all others,
as callers on other machines do: a refusal's time is then the server's alone.
"""

import heapq
import os
import random
import selectors
import socket
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import serve_load
from benchmarks.serve_load import percentile, whole_answer
from benchmarks.serve_peers import Server
from benchmarks.serve_speed import PHOTOS, photo, request_of, running_ours, write_model
from benchmarks.timing import write

BACKBONES = tuple((os.environ.get("ONLY") or "resnet50").split())
TIMES = 10
ROUND_S = float(os.environ.get("ROUND_S", "60"))
MOST_S = 10.0
CLIENTS = 8
REST_S = 0.25  # of a connection after a refusal
PING_EACH_S = 0.25
LAST_ANSWER_S = 60.0  # SageMaker waits no longer for an answer
_PING = b"GET /ping HTTP/1.1\r\nHost: bench\r\n\r\n"
_RETRY_AFTER = b"\r\nretry-after: "


@dataclass
class Flood:
    """What came back for the requests that were sent in `seconds`: the seconds of each answer by status, from the
    moment of sending, and those of each /ping."""

    seconds: float
    took_s: dict[int, list[float]] = field(default_factory=dict)
    answered: int = 0  # with status 200, within the seconds
    without_retry_after: int = 0  # refusals
    ping_s: list[float] = field(default_factory=list)
    failed_pings: int = 0
    late_s: list[float] = field(default_factory=list)  # by how much each was sent after it was due
    memory_mb: list[float] = field(default_factory=list)  # of the server, each second

    def figures(self) -> dict[str, float]:
        """For JSON."""
        found = {"answered_per_s": round(self.answered / self.seconds, 1), "failed pings": self.failed_pings}
        for name, took_s in (("refusal", self.took_s.get(503)), ("ping", self.ping_s), ("sent late", self.late_s)):
            if took_s:
                found |= {f"{name}_p{share}_ms": round(1000 * percentile(took_s, share), 2) for share in (50, 99)}
        found["refused_per_s"] = round(len(self.took_s.get(503, [])) / self.seconds, 1)
        found["refusals without Retry-After"] = self.without_retry_after
        found["longest answer, s"] = round(max(self.took_s.get(200, [0.0])), 2)
        found["memory_mb"] = round(max(self.memory_mb))
        found["most memory, in times of the beginning"] = round(max(self.memory_mb) / self.memory_mb[0], 2)
        return found


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures: of the round with the median refusal."""
    figures: dict[str, object] = {"rounds": rounds, "seconds": ROUND_S}
    with tempfile.TemporaryDirectory() as folder:
        for backbone in BACKBONES:
            print(f"{backbone} ...", flush=True)
            figures[backbone] = _measure(backbone, Path(folder) / backbone, rounds)
    write("serve_overload", figures)


def _measure(backbone: str, base: Path, rounds: int) -> dict[str, float]:
    write_model(backbone, base / "model")
    requests = [request_of("/invocations", photo(base / f"{number:02}.jpg", number)) for number in range(PHOTOS)]
    found = []
    with running_ours(base, "auto", requests[0]) as server, _before_all_others():
        for number in range(rounds):
            found.append(_round(server, requests))
            print(f"  round {number + 1}: {found[-1]}", flush=True)
    return sorted(found, key=lambda figures: figures["refusal_p99_ms"])[len(found) // 2]


def _round(server: Server, requests: Sequence[bytes]) -> dict[str, float]:
    before, answer_s = _most(server, requests)
    began_s = _loop_cpu_s(server)
    flood = send(server.address, requests, TIMES * before, ROUND_S, lambda: _resident_mb(server))
    took_s = _loop_cpu_s(server) - began_s
    after, _ = _most(server, requests)
    refusals = max(1, len(flood.took_s.get(503, [])))
    return flood.figures() | {
        "most_per_s": round(statistics.mean((before, after)), 1),
        "answered, in parts of the most": round(flood.answered / flood.seconds / statistics.mean((before, after)), 3),
        "CPU of a refusal, ms": round(1000 * (took_s - len(flood.took_s.get(200, [])) * answer_s) / refusals, 3),
    }


def _most(server: Server, requests: Sequence[bytes]) -> tuple[float, float]:
    """The answers a second to 8 clients, and the seconds of the event loop's CPU for an answer."""
    began_s = _loop_cpu_s(server)
    load = serve_load.run(server.address, requests, CLIENTS, MOST_S)
    return load.answered_per_s, (_loop_cpu_s(server) - began_s) / (len(load.took_s[200]) + CLIENTS)


def _loop_cpu_s(server: Server) -> float:
    """The seconds of the CPU that the main thread of the server has taken, which runs the event loop."""
    pid = server.process.pid
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


def _resident_mb(server: Server) -> float:
    """The memory of the server's process. Its proportional set size would stop the process for milliseconds."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def send(
    address: tuple[str, int],
    requests: Sequence[bytes],
    rate_per_s: float,
    seconds: float,
    memory_mb: Callable[[], float],
) -> Flood:
    """Sends so many requests a second, for so long, and waits for their answers. Raises ConnectionError when the server
    closes a connection, TimeoutError when it leaves a request without an answer."""
    flood = Flood(seconds)
    with ExitStack() as stack:
        callers = _Callers(stack, address, flood)
        chance = random.Random(0)  # noqa: S311 - no secret
        began_s = due_s = ping_due_s = memory_due_s = time.perf_counter()
        sent = 0
        while True:
            now_s = time.perf_counter()
            if now_s >= began_s + seconds and not callers.waiting:
                return flood
            if now_s >= began_s + seconds + LAST_ANSWER_S:
                raise TimeoutError(f"{len(callers.waiting)} requests are without an answer")
            while due_s <= now_s and due_s < began_s + seconds:
                callers.send(requests[sent % len(requests)], due_s)
                sent, due_s = sent + 1, due_s + chance.expovariate(rate_per_s)
            if ping_due_s <= now_s:
                callers.ping()
                ping_due_s = now_s + PING_EACH_S
            if memory_due_s <= now_s:
                flood.memory_mb.append(memory_mb())
                memory_due_s = now_s + 1
            next_s = min(ping_due_s, due_s if due_s < began_s + seconds else ping_due_s)
            callers.receive(max(0.0, next_s - time.perf_counter()), began_s + seconds)


class _Callers:
    """The connections of a flood, as many as it needs, and one for /ping."""

    def __init__(self, stack: ExitStack, address: tuple[str, int], flood: Flood) -> None:
        self._stack = stack
        self._address = address
        self._flood = flood
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._received: dict[socket.socket, bytes] = {}
        self._free: deque[socket.socket] = deque()
        self._resting: list[tuple[float, int, socket.socket]] = []
        self._ping = self._connect()
        self.waiting: dict[socket.socket, float] = {}  # since when

    def send(self, request: bytes, due_s: float) -> None:
        """Sends a request over a connection that is free, or else over a new one."""
        while self._resting and self._resting[0][0] <= time.perf_counter():
            self._free.append(heapq.heappop(self._resting)[2])
        connection = self._free.popleft() if self._free else self._connect()
        now_s = self.waiting[connection] = time.perf_counter()
        self._flood.late_s.append(now_s - due_s)
        connection.sendall(request)

    def ping(self) -> None:
        """Asks for /ping, unless the last one is not answered yet."""
        if self._ping not in self.waiting:
            self.waiting[self._ping] = time.perf_counter()
            self._ping.sendall(_PING)

    def receive(self, wait_s: float, end_s: float) -> None:
        """Waits so long for something, and counts the answers that are whole now."""
        for key, _ in self._selector.select(wait_s):
            connection: socket.socket = key.data
            if not (data := connection.recv(65_536)):
                raise ConnectionError("the server closed the connection")
            received = self._received[connection] = self._received[connection] + data
            if (status := whole_answer(received)) is not None:
                self._received[connection] = b""
                self._count(connection, status, received, end_s)

    def _count(self, connection: socket.socket, status: int, received: bytes, end_s: float) -> None:
        now_s, flood = time.perf_counter(), self._flood
        took_s = now_s - self.waiting.pop(connection)
        if connection is self._ping:
            flood.ping_s.append(took_s)
            flood.failed_pings += status != 200
            return
        flood.took_s.setdefault(status, []).append(took_s)
        flood.answered += status == 200 and now_s < end_s
        if status == 200:
            self._free.append(connection)
        elif status == 503:
            flood.without_retry_after += _RETRY_AFTER not in received
            heapq.heappush(self._resting, (now_s + REST_S, connection.fileno(), connection))
        else:
            raise RuntimeError(f"the server answered {received[:200]!r}")

    def _connect(self) -> socket.socket:
        connection = self._stack.enter_context(socket.create_connection(self._address))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(connection, selectors.EVENT_READ, connection)
        self._received[connection] = b""
        return connection


@contextmanager
def _before_all_others() -> Iterator[None]:
    """Lets this process, where it may, run whenever it has something to do, until the end of the block."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except OSError:
        print("  the callers share the cores with the server: refusals take longer for it", flush=True)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)
