"""The threads of the models. They do everything that takes CPU time, so that the event loop is never blocked.

One queue feeds as many threads as there are cores. A task decodes and runs a chunk of one request's images, so the
chunks of a large request spread over the threads and alternate with other requests. Pillow and ONNX Runtime release the
interpreter's lock while they work.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from containers.serve.engines import Batch, Logits
from containers.serve.metrics import StageTimes
from containers.serve.model import Item, Model
from containers.serve.refused import Refused
from containers.serve.settings import CHUNK
from containers.serve.threads import Threads
from ml.photos import BadImage

STUCK_S = 60.0  # (ours) SageMaker itself waits 60 s for an answer
MAX_FAILURES = 5  # (ours) batches


class Workers:
    """Owns its threads until close(). All calls come from one event loop."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = Threads(threads, "model")
        self._side = ThreadPoolExecutor(2, thread_name_prefix="side")
        self.stages = StageTimes()
        self._began_s: dict[int, float] = {}  # by thread, of the batches that are in work
        self._failures = 0  # of the model, one after the other
        self._requests = 0  # whose images are computed, or wait for that
        self._last_s = time.monotonic()

    def idle_s(self) -> float:
        """For how many seconds there has been no image to compute. May be called from any thread."""
        return 0.0 if self._requests else time.monotonic() - self._last_s

    def is_answering(self) -> bool:
        """Whether the model works: no batch has been in work for STUCK_S, and not all of the last ones have failed."""
        oldest_s = min(list(self._began_s.values()), default=math.inf)
        return time.monotonic() - oldest_s < STUCK_S and self._failures < MAX_FAILURES

    async def in_side_thread[*Ts, T](self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """The result of the function, called in a thread that never waits for the model: to parse and to write text."""
        return await asyncio.get_running_loop().run_in_executor(self._side, function, *args)

    async def logits(self, model: Model, items: Sequence[Item]) -> Logits:
        """The logits of the images, float32 (N, classes). Raises Refused 400, which names an unusable image."""
        rows = [part async for part in self.stream(model, items)]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    async def stream(self, model: Model, items: Sequence[Item]) -> AsyncGenerator[Logits]:
        """The logits of the images in their order, a chunk at a time. Only as many chunks are in work as keep every
        thread busy: requests of one image need not wait for all those of a large one, and whoever does not take the
        logits stops the work. Raises Refused 400 as logits() does."""
        tasks: deque[asyncio.Future[Logits]] = deque()
        with self._counted():
            try:
                for first in range(0, len(items), CHUNK):
                    chunk, now_s = items[first : first + CHUNK], time.monotonic()
                    tasks.append(self._pool.call(self._chunk, model, chunk, first, len(items) > 1, now_s))
                    if len(tasks) > self._threads:
                        yield await tasks.popleft()
                while tasks:
                    yield await tasks.popleft()
            finally:
                for task in tasks:
                    if not task.cancel() and not task.cancelled():
                        task.exception()  # else asyncio logs an exception that nobody took

    def close(self) -> None:
        """Waits for the running tasks and ends the threads."""
        self._pool.close()
        self._side.shutdown(cancel_futures=True)

    def _chunk(self, model: Model, items: Sequence[Item], first: int, several: bool, submitted_s: float) -> Logits:
        """Called in a thread of the pool: the logits of a part of a request's images, from number `first` on."""
        began_s = self._began_s[threading.get_ident()] = time.monotonic()
        try:
            inputs = _inputs(model, items, first, several)
            decoded_s = time.monotonic()
            logits = self._run(model, inputs)
        finally:
            del self._began_s[threading.get_ident()]
        seconds = {"wait": began_s - submitted_s, "decode": decoded_s - began_s, "model": time.monotonic() - decoded_s}
        self.stages.add(len(items), seconds)
        for index, (item, row) in enumerate(zip(items, logits, strict=True), start=first):
            if _is_model_input(item) and not np.isfinite(row).all():
                raise _refused(index, several, "The array's values are too large: the model's answer is not finite.")
        return logits

    def _run(self, model: Model, inputs: Sequence[Batch]) -> Logits:
        try:
            logits = model.run(inputs[0][np.newaxis] if len(inputs) == 1 else np.stack(inputs))
        except MemoryError:  # of a GPU, whose memory other models fill
            raise
        except Exception:
            self._failures += 1
            raise
        self._failures = 0
        return logits

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._requests += 1
        try:
            yield
        finally:
            self._last_s = time.monotonic()
            self._requests -= 1


def _inputs(model: Model, items: Sequence[Item], first: int, several: bool) -> list[Batch]:
    inputs = []
    for index, item in enumerate(items, start=first):
        try:
            inputs.append(model.to_input(item))
        except BadImage as error:
            raise _refused(index, several, str(error)) from error
    return inputs


def _refused(index: int, several: bool, sentence: str) -> Refused:
    return Refused(400, f"Instance {index}: {sentence}" if several else sentence)


def _is_model_input(item: Item) -> bool:
    """Whether the caller chose the very values that the model read; those of pixels are always in its range."""
    return not isinstance(item, bytes) and item.dtype == np.float32
