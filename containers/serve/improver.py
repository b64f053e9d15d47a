"""Replaces the engine of a running server by a faster one, when the server has nothing else to do.

The server answers at once with the safe choice. When no image was computed for IDLE_S, a process of its own measures
the candidates (measure.py); it is stopped while there are requests. What it found is kept in a cache, and the engine is
replaced between two batches, so that no request waits or is lost. Whatever fails here, the server goes on as it is.
"""

import gc
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

from containers.serve import choice_cache
from containers.serve.choice import Speed, best, candidates
from containers.serve.engines import SAFE_CHOICE, EngineChoice, load_engine
from containers.serve.memory import return_free_memory
from containers.serve.model import Model
from containers.serve.settings import ServeSettings
from ml.artifact import ONNX_FILE
from ml.memory import free_memory_bytes

START_S = 1.0  # (ours) the start of the server takes no time from its first answers
IDLE_S = 5.0  # (ours)
MAX_STOP_S = 60.0  # (ours) then the measuring ends, which frees its memory, and begins anew another time
_POLL_S = 0.1
_MEASURING_BYTES, _MEASURING_FACTOR = 128 << 20, 6  # (ours) of the file's size: two engines while they are loaded
_ROOT = Path(__file__).resolve().parents[2]
_LOG = logging.getLogger("serve")


class Improver:
    """Works in a thread of its own until the engine is chosen, or until close(). `idle_s` says for how many seconds no
    image was computed."""

    def __init__(self, model: Model, settings: ServeSettings, idle_s: Callable[[], float]) -> None:
        self._model = model
        self._settings = settings
        self._idle_s = idle_s
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="improve")
        self._thread.start()

    def close(self) -> None:
        """Ends the measuring, and waits for the thread."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        if self._closing.wait(START_S):
            return
        try:
            if choice := self._choose():
                self._use(choice)
        except Exception:  # noqa: BLE001 - whatever an engine raises, the server works without it
            _LOG.exception("the engine stays as it is")

    def _choose(self) -> EngineChoice | None:
        """The choice that is kept, or else the one that is measured; None when there is none. Raises OSError."""
        folder, threads = self._settings.model_dir, self._settings.threads
        allowed = (SAFE_CHOICE, *candidates(self._model.card.default_precisions, threads))
        key = choice_cache.key(folder, threads, choice_cache.cpu_text())
        if kept := choice_cache.read(self._settings.cache_dir, key, allowed):
            return kept
        measured = None
        while measured is None:
            if not self._wait_until_idle():
                return None
            needed = _MEASURING_BYTES + _MEASURING_FACTOR * (folder / ONNX_FILE).stat().st_size
            if free_memory_bytes() < needed:
                _LOG.info("engines are not compared: that takes %s bytes of memory", f"{needed:,}")
                return None
            measured = self._measure()
        choice = best(measured)
        try:
            choice_cache.write(self._settings.cache_dir, key, choice)
        except OSError as error:
            _LOG.info("the choice of the engine is not kept: %s", error)
        return choice

    def _wait_until_idle(self) -> bool:
        """Whether the server is idle now; False when it is closed."""
        while not self._closing.wait(_POLL_S):
            if self._idle_s() >= IDLE_S:
                return True
        return False

    def _measure(self) -> dict[EngineChoice, Speed] | None:
        """What the measuring process found, which is stopped while there are requests; None when it was ended before.
        Raises RuntimeError when it failed, ValueError or TypeError for another output."""
        command = [sys.executable, "-m", "containers.serve.measure"]
        arguments = [str(self._settings.model_dir.resolve()), str(self._settings.threads)]
        with subprocess.Popen(
            [*command, *arguments],
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                if not self._follow(process):
                    return None
            finally:
                process.kill()
            output = process.stdout.read() if process.stdout else ""
        if process.returncode:
            raise RuntimeError(f"the comparison of engines ended with {process.returncode}")
        measured = parse(output.splitlines())
        for choice, speed in measured.items():
            _LOG.info("%s: %.2f times the images a second, %.2f times as fast for one", choice, speed.busy, speed.lone)
        return measured

    def _follow(self, process: "subprocess.Popen[str]") -> bool:
        """Whether the process ends by itself. Else the server is closed, or had requests for MAX_STOP_S."""
        stopped_at_s = None
        while process.poll() is None:
            if self._closing.wait(_POLL_S):
                return False
            idle_s = self._idle_s()
            if stopped_at_s is None and idle_s < _POLL_S:
                process.send_signal(signal.SIGSTOP)
                stopped_at_s = time.monotonic()
            elif stopped_at_s is not None and idle_s >= IDLE_S:
                process.send_signal(signal.SIGCONT)
                stopped_at_s = None
            elif stopped_at_s is not None and time.monotonic() - stopped_at_s > MAX_STOP_S:
                return False
        return True

    def _use(self, choice: EngineChoice) -> None:
        """Loads the chosen engine, lets the model use it from the next batch on, and frees the former one."""
        if self._closing.is_set() or choice == self._model.engine.choice:
            return
        engine = load_engine(self._settings.model_dir, self._model.card, choice, self._settings.threads)
        former, self._model.engine = weakref.ref(self._model.engine), engine
        _LOG.info("the model runs on %s now", choice)
        while former() is not None and not self._closing.wait(_POLL_S):  # batches that have begun
            gc.collect()
        return_free_memory()


def parse(lines: Iterable[str]) -> dict[EngineChoice, Speed]:
    """What the measuring process printed. Raises ValueError, TypeError for another text."""
    return {EngineChoice(**choice): Speed(**speed) for choice, speed in map(json.loads, lines)}
