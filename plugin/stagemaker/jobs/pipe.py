"""Feeds the FIFOs of a channel in Pipe mode: `<channel>_0`, and when its reader has gone, `<channel>_1`, and so on.

AWS source: "Access Training Data" in the developer guide. Nothing here waits for the program for ever: it may never
open a FIFO, stop reading, or die.
"""

import errno
import fcntl
import itertools
import os
import select
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from pathlib import Path

from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor

POLL_S = 0.02  # how often a reader, and the end, is looked for
BUFFER_BYTES = 1 << 20  # Linux's limit for ordinary users: what is read ahead while the program computes


class Pipe:
    """FIFOs of one channel for one host, in `folder`. `epoch` gives what is read of one of them. `close` it always."""

    def __init__(
        self, folder: Path, channel: str, epoch: Callable[[int], Generator[bytes]], supervisor: Supervisor
    ) -> None:
        self.problem: ApiError | OSError | None = None  # why it cannot go on: its reader gets no end of file
        self._channel, self._epoch = channel, epoch
        self._closed = threading.Event()
        # The program can write into the folder: no link of its own may lead us elsewhere.
        self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._make(self._name(0))
            self._thread = supervisor.follow(f"pipe {channel}", self._run)
        except BaseException:
            os.close(self._folder)
            raise

    def close(self) -> None:
        """End it; no thread of it is left when this returns."""
        self._closed.set()
        self._thread.join()

    def _name(self, number: int) -> str:
        return f"{self._channel}_{number}"

    def _make(self, name: str) -> None:
        os.mkfifo(name, dir_fd=self._folder)
        fifo = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._folder)
        try:
            Path(f"/proc/self/fd/{fifo}").chmod(0o666)  # the program may be any user
        finally:
            os.close(fifo)

    def _run(self) -> None:
        try:
            for number in itertools.count():
                if number:
                    self._make(self._name(number))
                pipe = self._open(self._name(number))
                if pipe is None:
                    return
                try:
                    self._feed(pipe, number)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(self._name(number), dir_fd=self._folder)
                    os.close(pipe)
        except OSError as error:
            self.problem = error
        finally:
            os.close(self._folder)

    def _open(self, name: str) -> int | None:
        """The FIFO, once it has a reader; None when this one is closed before."""
        while not self._closed.is_set():
            try:
                pipe = os.open(name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=self._folder)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    raise
            else:
                with suppress(OSError):  # a user may have had its share of such memory
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BUFFER_BYTES)
                return pipe
            self._closed.wait(POLL_S)
        return None

    def _feed(self, pipe: int, number: int) -> None:
        """Until the end of the epoch, or of its reader."""
        try:
            with closing(self._epoch(number)) as chunks:
                for chunk in chunks:
                    if not self._write(pipe, chunk):
                        return
        except BrokenPipeError:  # the reader has enough
            return
        except (ApiError, OSError) as error:
            self.problem = error
            self._closed.wait()

    def _write(self, pipe: int, chunk: bytes) -> bool:
        """False when this one is closed before all is written. Raises BrokenPipeError."""
        ready = select.poll()
        ready.register(pipe, select.POLLOUT)
        rest = memoryview(chunk)
        while rest:
            if self._closed.is_set():
                return False
            if ready.poll(POLL_S * 1000):
                rest = rest[os.write(pipe, rest) :]
        return True
