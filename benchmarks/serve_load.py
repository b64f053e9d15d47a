"""Closed-loop load for an HTTP server: each client asks again as soon as it has its answer, also after a refusal."""

import math
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.serve_overload import whole_answer


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


def run(address: tuple[str, int], requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Asks with so many clients, which send the requests by turns. It waits for the last answers, which do not count.
    Raises ConnectionError when the server closes a connection, and RuntimeError for another status than 200 and 503."""
    load, received, sent_s = Load(seconds), dict[socket.socket, bytes](), dict[socket.socket, float]()
    turn = 0
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(clients):
                connection = socket.create_connection(address)
                received[connection] = b""
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ, connection)
            end_s = time.perf_counter() + seconds
            for connection in received:
                sent_s[connection] = time.perf_counter()
                connection.sendall(requests[(turn := turn + 1) % len(requests)])
            while selector.get_map():
                for key, _ in selector.select():
                    connection = key.data
                    if not (data := connection.recv(65_536)):
                        raise ConnectionError("the server closed the connection")
                    received[connection] += data
                    if (status := whole_answer(received[connection])) is None:
                        continue
                    if status not in (200, 503):
                        raise RuntimeError(f"the server answered {received[connection][:200]!r}")
                    received[connection], now_s = b"", time.perf_counter()
                    if now_s >= end_s:
                        selector.unregister(connection)
                        continue
                    load.took_s.setdefault(status, []).append(now_s - sent_s[connection])
                    sent_s[connection] = now_s
                    connection.sendall(requests[(turn := turn + 1) % len(requests)])
        finally:
            for connection in received:
                connection.close()
    return load
