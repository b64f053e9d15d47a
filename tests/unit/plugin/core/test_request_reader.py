"""What a client sends, at its pace."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from stagemaker.core.request_reader import RequestReader


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's and the client's."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


def read_all(read: Callable[[int], bytes]) -> None:
    """Until the client ends."""
    while read(100_000):
        pass


def test_what_came_already_is_read_first(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    reader = RequestReader(server, b"one\ntw", 100, 10)
    client.sendall(b"o\nabc")
    assert [reader.readline(100), reader.readline(100)] == [b"one\n", b"two\n"]
    assert [reader.read1(2), bytes(reader.unread), reader.read1(2)] == [b"ab", b"c", b"c"]


def test_a_line_is_no_longer_than_is_asked_for(ends: tuple[socket.socket, socket.socket]) -> None:
    reader = RequestReader(ends[0], b"one\ntwo", 100, 10)
    assert [reader.readline(2), reader.readline(4), reader.readline(2)] == [b"on", b"e\n", b"tw"]


def test_a_client_that_ended(ends: tuple[socket.socket, socket.socket]) -> None:
    server, client = ends
    client.sendall(b"no line end")
    client.shutdown(socket.SHUT_WR)
    reader = RequestReader(server, b"", 100, 10)
    assert [reader.readline(100), reader.readline(100), reader.read1(100)] == [b"no line end", b"", b""]


@pytest.mark.parametrize("read", ["read1", "readline"])
def test_bytes_that_drip_are_too_slow(ends: tuple[socket.socket, socket.socket], read: str) -> None:
    server, client = ends
    reader = RequestReader(server, b"", pace_bytes=100_000, pace_s=0.3)
    ended = threading.Event()

    def drip() -> None:
        while not ended.wait(0.02):
            client.send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        read_all(getattr(reader, read))
    assert 0.3 <= time.monotonic() - started < 3
    ended.set()
    dripping.join()


def test_only_the_waiting_counts_and_each_part_anew(ends: tuple[socket.socket, socket.socket]) -> None:
    """A registry that is slow to take a body costs the client nothing; a fast start earns it nothing."""
    server, client = ends
    now, took_s = 0.0, [0.9, 0.9, 0.05, 0.9, 0.1]
    times: Iterator[float] = iter(())

    def clock() -> float:
        nonlocal now, times
        now += next(times, 1000.0)  # between two reads
        return now

    reader = RequestReader(server, b"", 10, 1.0, clock)
    for wait_s, size in zip(took_s, (10, 9, 1, 5, 4), strict=True):
        times = iter([1000.0, wait_s])
        client.sendall(bytes(size))
        assert len(reader.read1(100)) == size
    client.sendall(b"x")
    with pytest.raises(TimeoutError):
        reader.read1(100)
