"""Marks in a terminal's output, whatever the pieces in which it comes."""

import queue
import threading
from typing import Any, cast

import pytest

from stagemaker.runtime.docker.terminal import MARK, Terminal


class Connection:
    """What is fed comes out in the same chunks; what is sent is counted."""

    def __init__(self) -> None:
        self.chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.sent = 0

    def recv(self, _size: int) -> bytes:
        return self.chunks.get()

    def sendall(self, data: bytes) -> None:
        self.sent += len(data)

    def shutdown(self, _how: int) -> None:
        self.chunks.put(b"")

    def close(self) -> None:
        pass


class World:
    """A terminal that a thread reads."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.terminal = Terminal(cast(Any, self.connection))
        self.read = b""
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        for stream, piece in self.terminal:
            assert stream == 1
            self.read += piece

    def drain_while(self, *chunks: bytes) -> bool:
        answers: list[bool] = []
        draining = threading.Thread(target=lambda: answers.append(self.terminal.drain(10)))
        draining.start()
        while not self.connection.sent:
            pass
        for chunk in chunks:
            self.connection.chunks.put(chunk)
        draining.join(10)
        return answers[0]

    def end(self) -> bytes:
        self.terminal.close()
        self.reader.join(10)
        return self.read


@pytest.mark.parametrize(
    "chunks",
    [(b"one\r\ntwo" + MARK + b"three",), (b"one\r\ntwo^", b"R", b"\r", b"\nthree"), (b"one\r\ntwo", MARK, b"three")],
)
def test_what_was_written_before_a_mark_is_there_after_it(chunks: tuple[bytes, ...]) -> None:
    world = World()
    assert world.drain_while(*chunks)
    assert world.read.startswith(b"one\r\ntwo")
    assert world.end() == b"one\r\ntwothree"


def test_output_like_a_mark_is_kept_when_nobody_asked() -> None:
    world = World()
    world.connection.chunks.put(MARK + b"^R")
    assert world.end() == MARK + b"^R"


def test_a_beginning_that_is_no_mark_is_kept() -> None:
    world = World()
    assert world.drain_while(b"^", b"Rx", b"^R\r", b"\n")
    assert world.end() == b"^Rx"


def test_the_end_ends_the_wait() -> None:
    world = World()
    assert world.drain_while(b"last^R", b"")
    assert world.end() == b"last^R"


def test_a_terminal_without_an_echo_costs_one_wait() -> None:
    world = World()
    assert not world.terminal.drain(0.01)
    assert not world.terminal.drain(10)
    assert world.connection.sent == 1
    world.connection.chunks.put(b"late" + MARK)
    assert world.end() == b"late"
