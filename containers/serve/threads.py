"""Threads that make calls for an event loop.

The standard library's executor does the same with two futures and several locks for each call: more than twice the CPU
time, which every answer of the server would pay.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

type _Call = tuple[asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class Threads:
    """`number` threads, which take calls in their order, until close(). All calls come from one event loop."""

    def __init__(self, number: int, name: str) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{index}", daemon=True) for index in range(number)
        ]
        for thread in self._threads:
            thread.start()

    def call[*Ts, T](self, function: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """The result to come of the function, called in one of the threads. A call that is cancelled before it has
        begun is not made."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((future, function, args))
        return future

    def close(self) -> None:
        """Waits for the calls that have begun, and ends the threads. The others are not made."""
        self._is_closed = True
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function, args = call
            if self._is_closed or future.cancelled():
                continue
            result, error = None, None
            try:
                result = function(*args)
            except BaseException as caught:  # noqa: BLE001 - it is raised where the result is awaited
                error = caught
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                future.get_loop().call_soon_threadsafe(_end, future, result, error)
            del call, future, function, args, result, error  # else they live until the next call


def _end(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
