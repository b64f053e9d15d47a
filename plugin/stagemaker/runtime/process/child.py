"""A command with its keeper: started, read line by line, stopped with everything it started."""

import logging
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import IO, cast

from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import Exit, Usage
from stagemaker.runtime.lines import LineSplitter, give
from stagemaker.runtime.process import keeper
from stagemaker.runtime.process.labels import LABEL, kill_labelled, usage_of

LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 64 * 1024
_LAST_OUTPUT_MS = 1000  # for what is in the pipe when the keeper has ended


class Child:
    """One running or ended command. All methods may be called from any thread, `stop` not from inside `on_line`.

    `on_line` gets each line of output from a thread of the supervisor's; `on_end` runs once after the last one, when
    nothing of the command is left and before `wait` and `stop` return. The folder `temporary` goes with the command.
    Raises OSError or ValueError when it cannot be started; then nothing is left running."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        temporary: Path,
        environment: Mapping[str, str],
        label: str,
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
        supervisor: Supervisor,
    ) -> None:
        self.label = label
        self._on_line, self._on_end = on_line, on_end
        self._end: Future[Exit] = Future()
        self._splitter = LineSplitter()
        self._control_lock, self._reading = threading.Lock(), threading.Lock()
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", keeper.__file__, str(temporary), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd=folder,
            env={**environment, LABEL: label},
            start_new_session=True,  # a Ctrl-C in LocalStack's terminal is LocalStack's to handle
        )
        self._control = cast(IO[bytes], self._keeper.stdin)
        self._output = cast(IO[bytes], self._keeper.stdout)
        try:
            supervisor.follow(f"output of {label}", self._follow)
        except RuntimeError as error:  # no more threads
            self._keeper.communicate()  # the end of its control pipe ends the keeper
            raise OSError(str(error)) from error

    @property
    def keeper_pid(self) -> int:
        """The process that keeps the command; its session holds the keeper alone."""
        return self._keeper.pid

    def usage(self) -> Usage:
        """Of all of its processes. Their number is small, that of the machine's, which are looked through, is not."""
        return usage_of(self.label)

    def peak_memory_bytes(self) -> int:
        """Of the command itself, without its children; 0 when it has ended or the kernel does not say."""
        try:
            program = Path(f"/proc/{self.keeper_pid}/task/{self.keeper_pid}/children").read_text().split()[0]
            status = Path(f"/proc/{program}/status").read_text()
        except (OSError, IndexError):
            return 0
        peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(peaks[0]) * 1024 if peaks else 0

    def poll(self) -> Exit | None:
        """How it ended, or None while it runs or has output to give."""
        return self._end.result() if self._end.done() else None

    def wait(self, timeout_s: float) -> Exit | None:
        """As `poll`, after at most `timeout_s`."""
        try:
            return self._end.result(timeout_s)
        except TimeoutError:
            return None

    def stop(self, grace_s: float) -> Exit:
        """SIGTERM to the command, SIGKILL to everything after `grace_s`; returns when nothing is left."""
        self._order(keeper.TERMINATE)
        return self.wait(grace_s) or self.kill()

    def kill(self) -> Exit:
        """SIGKILL to everything; returns when nothing is left."""
        self._order(keeper.KILL)
        return self._end.result()

    def drain(self) -> None:
        """Give the lines that the command has written so far before returning."""
        with self._reading:
            while not self._output.closed and self._read_available():
                pass

    def _order(self, order: bytes) -> None:
        with self._control_lock:
            if self._control.closed:
                return
            try:
                self._control.write(order)
            except BrokenPipeError:
                return  # it ended by itself

    def _follow(self) -> None:
        self._read_to_end()
        returned = self._keeper.wait()
        with self._reading:
            give(self._splitter.finish(), self._on_line)
            self._output.close()
        with self._control_lock:
            self._control.close()
        try:
            self._on_end()
        except Exception:
            LOG.exception("cleaning up after %s", self.label)
        self._end.set_result(Exit(returned if returned >= 0 else 128 - returned))

    def _read_to_end(self) -> None:
        """The output ends with the keeper, which outlives all that it keeps, unless it was killed."""
        keeper_end = os.pidfd_open(self._keeper.pid)
        ready = select.poll()
        ready.register(self._output, select.POLLIN)
        ready.register(keeper_end, select.POLLIN)
        timeout_ms: int | None = None
        try:
            while events := dict(ready.poll(timeout_ms)):
                if keeper_end in events:
                    ready.unregister(keeper_end)
                    kill_labelled(self.label)  # nothing, unless the keeper was killed
                    timeout_ms = _LAST_OUTPUT_MS
                with self._reading:
                    self._read_available()
                if events.get(self._output.fileno(), 0) & select.POLLHUP and not self._available():
                    return
        finally:
            os.close(keeper_end)

    def _read_available(self) -> bool:
        """Whether there was something. Under the lock, so that lines come in order."""
        chunk = os.read(self._output.fileno(), _CHUNK_BYTES) if self._available() else b""
        give(self._splitter.feed(chunk), self._on_line)
        return bool(chunk)

    def _available(self) -> bool:
        ready = select.poll()
        ready.register(self._output, select.POLLIN)
        return any(events & select.POLLIN for _, events in ready.poll(0))
