"""What the serving container answers to 8 clients, and to 256, for which its queue has no place.

The model is the cheapest there is, so that all but the model shows. The clients ask again at once, also after a 503.
The goal is that 256 clients get as many answers as 8. It needs no Docker: the server is a process.
"""

import os
import re
import selectors
import socket
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.ports import free_port
from benchmarks.timing import write
from infra.paths import CHECKOUT

CLIENTS = (8, 256)
BURST_S = 2.0
START_S = 60.0
_ENVIRONMENTS = CHECKOUT / ".stagemaker" / "env"
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: ([0-9]+)")
_PING = b"GET /ping HTTP/1.1\r\nHost: bench\r\n\r\n"
_MODEL = """
import sys
from pathlib import Path
from tests.unit.containers.serve_process import encode, write_model

write_model(Path(sys.argv[1]) / "model")
(Path(sys.argv[1]) / "photo").write_bytes(encode("red", "JPEG", (320, 240)))
"""


def main(rounds: int) -> None:
    """Measures the scenario and writes its figures."""
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address:
        photo = (Path(folder) / "photo").read_bytes()
        head = "POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: image/jpeg\r\n"
        request = f"{head}Content-Length: {len(photo)}\r\n\r\n".encode() + photo
        found: dict[int, list[Counter[int]]] = {clients: [] for clients in CLIENTS}
        for number in range(rounds + 1):
            for clients in CLIENTS:
                statuses = burst(address, request, clients)
                print(
                    f"  {f'round {number}' if number else 'warm-up'}: {clients} clients: {dict(statuses)}", flush=True
                )
                if number:
                    found[clients].append(statuses)
    few, many = (found[clients] for clients in CLIENTS)
    ratios = [more[200] / less[200] for less, more in zip(few, many, strict=True)]
    write(
        "serve_overload",
        {
            **{f"{clients} clients": _per_second(bursts) for clients, bursts in found.items()},
            "answers to 256 clients over answers to 8": round(statistics.median(ratios), 3),
            "rounds": rounds,
        },
    )


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int]]:
    """The container's program with the model, until the end of the block: its address. Raises TimeoutError."""
    subprocess.run([_ENVIRONMENTS / "dev/bin/python", "-c", _MODEL, folder], cwd=CHECKOUT, check=True)
    address = ("127.0.0.1", free_port())
    environment = {
        "PATH": os.defpath,
        "SAGEMAKER_BASE_DIR": str(folder),
        "SAGEMAKER_BIND_TO_PORT": str(address[1]),
        "STAGEMAKER_BIND_HOST": address[0],
    }
    program = [_ENVIRONMENTS / "serve/bin/python", CHECKOUT / "containers/serve/serve"]
    with subprocess.Popen(program, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + START_S
            while not _pings(address):
                if time.monotonic() > deadline:
                    raise TimeoutError("no answer to /ping")
                time.sleep(0.05)
            yield address
        finally:
            process.kill()


def burst(address: tuple[str, int], request: bytes, clients: int) -> Counter[int]:
    """How often each status was answered in BURST_S. It waits for the last answers, which are not counted. Raises
    ConnectionError when the server closes a connection."""
    statuses: Counter[int] = Counter()
    received: dict[socket.socket, bytes] = {}
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(clients):
                connection = socket.create_connection(address)
                received[connection] = b""
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(request)
                selector.register(connection, selectors.EVENT_READ, connection)
            end = time.perf_counter() + BURST_S
            while selector.get_map():
                for key, _ in selector.select():
                    received[key.data] += _some(key.data)
                    status = whole_answer(received[key.data])
                    if status is None:
                        continue
                    received[key.data] = b""
                    if time.perf_counter() < end:
                        statuses[status] += 1
                        key.data.sendall(request)
                    else:
                        selector.unregister(key.data)
        finally:
            for connection in received:
                connection.close()
    return statuses


def whole_answer(received: bytes) -> int | None:
    """The status of the answer; None while its end is missing."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return int(head.split()[1]) if end and length and len(body) >= int(length[1]) else None


def _pings(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address) as connection:
            connection.sendall(_PING)
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65_536)
    if not received:
        raise ConnectionError("the server closed the connection")
    return received


def _per_second(bursts: list[Counter[int]]) -> dict[str, float]:
    counts = {"answered_per_s": 200, "refused_per_s": 503}
    return {
        name: round(statistics.median(statuses[status] for statuses in bursts) / BURST_S)
        for name, status in counts.items()
    }
