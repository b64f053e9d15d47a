"""One container of the Docker runtime: its output, its end, its stop."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future

from stagemaker.core.errors import hinted
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BASE, ContainerSpec, Exit, Usage
from stagemaker.runtime.docker.engine import Engine, EngineError, EngineGone
from stagemaker.runtime.docker.frames import Frames
from stagemaker.runtime.docker.function import peak_memory_bytes
from stagemaker.runtime.docker.stats import usage
from stagemaker.runtime.docker.terminal import Terminal
from stagemaker.runtime.lines import LineSplitter, give

LOG = logging.getLogger(__name__)
_WAIT_S = 2  # an ended container answers at once; one that closed its output early is asked again
_STDERR = 2
_KILL_S = 60  # after SIGKILL, for an engine under load
_KILLED = 137
_THEN = "what it left of this container is removed then"
ENGINE_STOPPED = hinted("The Docker engine stopped or does not answer.", f"start it again; {_THEN}")
NOT_KILLED = hinted("The Docker engine did not kill this container.", f"restart the engine; {_THEN}")
NOT_FOLLOWED = hinted("This container could not be followed, and was removed.", "LocalStack's log says why")


class DockerContainer:
    """A container that the engine runs already as `engine_id`; `output` holds what it has written so far. `on_end` runs
    once, after the last line and before `wait` and `stop` return. Raises RuntimeError when the machine has no more
    threads."""

    base = BASE

    def __init__(
        self,
        spec: ContainerSpec,
        engine: Engine,
        engine_id: str,
        *,
        ip: str,
        address: tuple[str, int] | None,
        hardware: str,
        notes: tuple[str, ...] = (),
        published: tuple[str, int] | None = None,
        output: Frames | Terminal,
        on_line: Callable[[str], None],
        on_end: Callable[[], None],
        supervisor: Supervisor,
    ) -> None:
        self.spec, self.ip, self.address, self.hardware, self.notes = spec, ip, address, hardware, notes
        self.published = published
        self.running = True
        self._engine, self._id, self._output = engine, engine_id, output
        self._on_line, self._on_end = on_line, on_end
        self._end: Future[Exit] = Future()
        self._ending = threading.Lock()
        supervisor.follow(f"output of {spec.name}", self._follow)

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
        """SIGTERM, and SIGKILL after `grace_s`. A first process without a handler for SIGTERM does not notice it, as on
        AWS."""
        self._signal("SIGTERM")
        return self.wait(grace_s) or self.kill()

    def kill(self) -> Exit:
        """SIGKILL; returns when nothing is left, or after a minute when the engine does not get it done."""
        self._signal("SIGKILL")
        if end := self.wait(_KILL_S):
            return end
        self._output.close()
        return self._finish(Exit(_KILLED, NOT_KILLED, lost=True))

    def drain(self, timeout_s: float) -> bool:
        """Give the lines that it has written so far before returning; whether it could be told that these are all."""
        return isinstance(self._output, Terminal) and self._output.drain(timeout_s)

    def peak_memory_bytes(self) -> int:
        """The most that it used so far; 0 when it has ended or the engine does not say."""
        try:
            return peak_memory_bytes(self._engine.stats(self._id))
        except EngineError:
            return 0

    def usage(self) -> Usage | None:
        """What it uses now; None when it has ended or the engine does not say."""
        try:
            return usage(self._engine.stats(self._id)) if self.running else None
        except EngineError:
            return None

    def _signal(self, signal: str) -> None:
        if self._end.done():
            return
        try:
            self._engine.kill(self._id, signal)
        except EngineGone:
            self._output.close()  # which ends the reading, should the engine hang
        except EngineError as error:
            if error.status not in (404, 409):  # else it has ended by itself
                LOG.warning("%s to %s: %s", signal, self.spec.name, error)

    def _follow(self) -> None:
        try:
            self._read()
            self.running = False  # most probably: soon the engine gives its address to another
            end = self._ask_for_end()
        except Exception:
            LOG.exception("following %s", self.spec.name)
            end = Exit(_KILLED, NOT_FOLLOWED, lost=True)
        self._finish(end)

    def _read(self) -> None:
        output, errors = LineSplitter(), LineSplitter()
        for stream, chunk in self._output:
            give((errors if stream == _STDERR else output).feed(chunk), self._on_line)
        for splitter in output, errors:
            give(splitter.finish(), self._on_line)

    def _finish(self, end: Exit) -> Exit:
        """Clean up, once; how it ended, as whoever came first said."""
        with self._ending:
            if not self._end.done():
                try:
                    self._on_end()
                except Exception:
                    LOG.exception("cleaning up after %s", self.spec.name)
                self._end.set_result(end)
        return self._end.result()

    def _ask_for_end(self) -> Exit:
        try:
            code = self._wait()
            self.running = False
            if code == 0:
                return Exit(0, "")
            record = self._engine.inspect(self._id)
        except EngineGone:
            return Exit(_KILLED, ENGINE_STOPPED, lost=True)
        except EngineError as error:
            return Exit(_KILLED, f"The container was removed by somebody else: {error}", lost=True)
        return _exit(code, record["State"], record["HostConfig"]["Memory"])

    def _wait(self) -> int:
        while True:
            try:
                return self._engine.wait(self._id, _WAIT_S)
            except EngineGone:
                self._engine.inspect(self._id)  # it runs on without an output, or the engine is gone
                if self._end.done():  # nobody asks any more
                    raise
                self.running = True


def _exit(code: int, state: dict[str, object], memory_bytes: int) -> Exit:
    """`OOMKilled` is about any process of the container: one that it survived did not end it."""
    if code and state.get("OOMKilled"):
        limit = f": its limit is {memory_bytes // 2**20} MiB" if memory_bytes else ""
        return Exit(code, f"It ran out of memory{limit}", out_of_memory=True)
    return Exit(code, str(state.get("Error") or ""))
