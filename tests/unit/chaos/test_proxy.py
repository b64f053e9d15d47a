"""The proxy that makes S3 slow, as the program that it is in its container."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.ports import free_port
from infra.paths import CHECKOUT

SIZE_BYTES = 98_304  # a second and a half at 64 KiB/s


@pytest.fixture
def proxy() -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A proxy before a server that sends SIZE_BYTES to whoever connects."""
    server, port = socket.create_server(("127.0.0.1", 0)), free_port()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(bytes(SIZE_BYTES))

    thread = threading.Thread(target=serve)
    thread.start()
    variables = {"PROXY_PORT": str(port), "PROXY_GATEWAY_PORT": str(server.getsockname()[1])}
    command = [sys.executable, "-IS", str(CHECKOUT / "tests" / "chaos" / "proxy.py")]
    with subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "fast\n"
        yield process, port
        process.terminate()
        assert process.wait(10) == 0
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join()


def read_s(port: int) -> float:
    """Reads all that comes, which is all that was sent; the seconds that it took."""
    began_s, received = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        while piece := connection.recv(65536):
            received += len(piece)
    assert received == SIZE_BYTES
    return time.monotonic() - began_s


def test_all_bytes_arrive_and_slowly_only_when_it_is_told(proxy: tuple["subprocess.Popen[str]", int]) -> None:
    process, port = proxy
    assert process.stdout
    assert any(read_s(port) < 1 for _ in range(20))  # a busy machine is slow as well
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "slow\n"
    assert read_s(port) > 1.2
    process.send_signal(signal.SIGUSR2)
    assert process.stdout.readline() == "fast\n"
    assert any(read_s(port) < 1 for _ in range(20))
