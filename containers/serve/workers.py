"""The model's threads: all that takes CPU time happens here, never on the event loop.

One queue feeds as many threads as there are cores. A job decodes and runs a chunk of one request's images; the chunks
of a large request spread over the threads and take turns with other requests. Pillow and ONNX Runtime let go of the
interpreter's lock while they work.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from containers.serve.model import Item, Logits, Model
from containers.serve.refused import Refused
from containers.serve.settings import CHUNK
from ml.preprocess import BadImage


class Workers:
    """Owns its threads until close(). Used from one event loop."""

    def __init__(self, model: Model, threads: int) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._side = ThreadPoolExecutor(2, thread_name_prefix="side")

    async def aside[*Ts, T](self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """The function's result, from a thread that never waits behind the model: for parsing and writing text."""
        return await asyncio.get_running_loop().run_in_executor(self._side, function, *args)

    async def logits(self, items: Sequence[Item]) -> Logits:
        """float32 (N, classes). Refused 400 names the first image found that cannot be used."""
        loop, several = asyncio.get_running_loop(), len(items) > 1
        jobs = [
            loop.run_in_executor(self._pool, self._chunk, items[first : first + CHUNK], first, several)
            for first in range(0, len(items), CHUNK)
        ]
        try:
            rows = await asyncio.gather(*jobs)
        except BaseException:
            for job in jobs:
                job.cancel()  # those that have not begun
            raise
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def close(self) -> None:
        """Waits for the running jobs and ends the threads."""
        self._pool.shutdown(cancel_futures=True)
        self._side.shutdown(cancel_futures=True)

    def _chunk(self, items: Sequence[Item], first: int, several: bool) -> Logits:
        inputs = []
        for index, item in enumerate(items, start=first):
            try:
                inputs.append(self._model.to_input(item))
            except BadImage as error:
                raise Refused(400, f"Instance {index}: {error}" if several else str(error)) from error
        return self._model.run(np.stack(inputs))
