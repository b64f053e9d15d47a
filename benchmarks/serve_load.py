"""Closed-loop load for an HTTP server: each client asks again as soon as it has its answer.

After a refusal it waits for PAUSE_S and up to as much again, because our server reads nothing from that connection for
0.2 s: without the pause the time of the next refusal would be that of the connection's rest. The pauses differ, and the
clients begin one after the other: if all asked in the same moment, they would measure how long they wait for each
other.
"""

import heapq
import itertools
import math
import random
import re
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

PAUSE_S = 0.25
BEGIN_GAP_S = 0.001
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: ([0-9]+)")


@dataclass
class Load:
    """What came back within `seconds`: the seconds of each answer by status."""

    seconds: float
    took_s: dict[int, list[float]] = field(default_factory=dict)

    @property
    def answered_per_s(self) -> float:
        """Answers with status 200, a second."""
        return len(self.took_s.get(200, [])) / self.seconds

    def figures(self) -> dict[str, float]:
        """For JSON: rates, and the times of answers and refusals in milliseconds."""
        found = {"answered_per_s": round(self.answered_per_s, 1)}
        for status, name in ((200, "answer"), (503, "refusal")):
            if took_s := self.took_s.get(status):
                found |= {f"{name}_p{share}_ms": round(1000 * percentile(took_s, share), 2) for share in (50, 99)}
        if refusals := self.took_s.get(503):
            found["refused_per_s"] = round(len(refusals) / self.seconds, 1)
        return found


def percentile(values: Sequence[float], share: int) -> float:
    """The smallest value that at least `share` of 100 values do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


def whole_answer(received: bytes) -> int | None:
    """The status of the answer; None while its end is missing."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return int(head.split()[1]) if end and length and len(body) >= int(length[1]) else None


def run(address: tuple[str, int], requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Asks with so many clients, which send the requests by turns. It waits for the last answers, which do not count.
    Raises ConnectionError when the server closes a connection, and RuntimeError for another status than 200 and 503."""
    load = Load(seconds)
    with ExitStack() as stack:
        group = _Clients(stack, address, requests, clients)
        end_s = time.perf_counter() + seconds
        while group.received:
            for connection, status in group.answers():
                now_s = time.perf_counter()
                if now_s >= end_s:
                    group.leave(connection)
                    continue
                load.took_s.setdefault(status, []).append(now_s - group.sent_s[connection])
                if status == 200:
                    group.ask(connection)
                else:
                    group.ask_at(now_s + random.uniform(PAUSE_S, 2 * PAUSE_S), connection)  # noqa: S311 - no secret
    return load


class _Clients:
    """The connections of a load, what each has received of its answer, and a heap of those that ask later."""

    def __init__(self, stack: ExitStack, address: tuple[str, int], requests: Sequence[bytes], clients: int) -> None:
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._requests = itertools.cycle(requests)
        self.received: dict[socket.socket, bytes] = {}
        self.sent_s: dict[socket.socket, float] = {}
        self._later: list[tuple[float, int, socket.socket]] = []
        begin_s = time.perf_counter()
        for number in range(clients):
            connection = stack.enter_context(socket.create_connection(address))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ, connection)
            self.received[connection] = b""
            self.ask_at(begin_s + number * BEGIN_GAP_S, connection)

    def ask_at(self, at_s: float, connection: socket.socket) -> None:
        """Sends the next request at that time of time.perf_counter()."""
        heapq.heappush(self._later, (at_s, connection.fileno(), connection))

    def ask(self, connection: socket.socket) -> None:
        """Sends the next request."""
        self.sent_s[connection] = time.perf_counter()
        connection.sendall(next(self._requests))

    def leave(self, connection: socket.socket) -> None:
        """Takes the client out."""
        self._selector.unregister(connection)
        del self.received[connection]

    def answers(self) -> Iterator[tuple[socket.socket, int]]:
        """Lets those ask whose time has come, waits for something, and gives the answers that are whole now."""
        while self._later and self._later[0][0] <= time.perf_counter():
            self.ask(heapq.heappop(self._later)[2])
        wait_s = max(0.0, self._later[0][0] - time.perf_counter()) if self._later else None
        for key, _ in self._selector.select(wait_s):
            connection = key.data
            if not (data := connection.recv(65_536)):
                raise ConnectionError("the server closed the connection")
            self.received[connection] += data
            if (status := whole_answer(self.received[connection])) is None:
                continue
            if status not in (200, 503):
                raise RuntimeError(f"the server answered {self.received[connection][:200]!r}")
            self.received[connection] = b""
            yield connection, status
