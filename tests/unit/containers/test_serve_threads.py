"""The threads of the models: what they call, and what they do not."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from containers.serve.threads import Threads
from tests.unit.containers.serve_process import TIMEOUT_S


def with_threads(number: int, test: Callable[[Threads], Awaitable[None]]) -> None:
    threads = Threads(number, "test")

    async def limited() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await test(threads)

    try:
        asyncio.run(limited())
    finally:
        threads.close()


def test_results_and_errors_come_back_to_the_loop() -> None:
    async def test(threads: Threads) -> None:
        assert await asyncio.gather(*(threads.call(divmod, number, 7) for number in range(20))) == [
            divmod(number, 7) for number in range(20)
        ]
        with pytest.raises(ZeroDivisionError):
            await threads.call(divmod, 1, 0)
        assert await threads.call(divmod, 1, 1) == (1, 0), "an error ends no thread"

    with_threads(2, test)


def test_as_many_calls_as_threads_are_made_at_a_time() -> None:
    async def test(threads: Threads) -> None:
        met = threading.Barrier(2)
        await asyncio.gather(*(threads.call(met.wait, TIMEOUT_S) for _ in range(2)))

    with_threads(2, test)


def test_a_call_that_is_cancelled_while_it_waits_is_not_made() -> None:
    async def test(threads: Threads) -> None:
        begun, go_on, made = threading.Event(), threading.Event(), list[str]()

        def work() -> None:
            begun.set()
            assert go_on.wait(TIMEOUT_S)

        first = threads.call(work)
        while not begun.is_set():
            await asyncio.sleep(0.01)
        first.cancel()  # it has begun, and ends without a result
        threads.call(made.append, "cancelled").cancel()
        last = threads.call(made.append, "last")
        go_on.set()
        await last
        assert made == ["last"]

    with_threads(1, test)


def test_the_end_waits_for_what_has_begun_and_drops_the_rest() -> None:
    begun, go_on, made = threading.Event(), threading.Event(), list[str]()
    threads = Threads(1, "test")

    def work() -> None:
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        made.append("begun")

    async def ask() -> None:
        threads.call(work)
        threads.call(made.append, "waiting")
        assert begun.wait(TIMEOUT_S)

    asyncio.run(ask())  # the loop is closed now: nobody waits for the results
    closing = threading.Thread(target=threads.close)
    closing.start()
    go_on.set()
    closing.join(TIMEOUT_S)
    assert not closing.is_alive()
    assert made == ["begun"]
