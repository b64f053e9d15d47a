"""The turns of those who start something."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.functions.start_queue import StartQueue


def entering(pool: ThreadPoolExecutor, queue: StartQueue[str], key: str = "") -> "Future[str | None]":
    """One who waits; returns when it does, or has its turn."""
    entered = pool.submit(queue.enter, key)
    time.sleep(0.05)
    return entered


def test_so_many_at_once_and_the_others_in_the_order_in_which_they_came() -> None:
    queue = StartQueue[str](2)
    with ThreadPoolExecutor() as pool:
        first, second, third, fourth = (entering(pool, queue) for _ in range(4))
        assert [each.done() for each in (first, second, third, fourth)] == [True, True, False, False]
        queue.leave()
        assert third.result(10) is None
        assert not fourth.done()
        queue.leave()
        assert fourth.result(10) is None


def test_who_waits_gets_what_is_started_for_it() -> None:
    queue = StartQueue[str](1)
    queue.enter()
    with ThreadPoolExecutor() as pool:
        cat, first_dog, second_dog = (entering(pool, queue, key) for key in ("cat", "dog", "dog"))
        assert queue.offer("dog", "a warm one")
        assert first_dog.result(10) == "a warm one"
        assert not queue.offer("bird", "a warm one")
        assert not second_dog.done()
        queue.leave()
        assert cat.result(10) is None
        queue.leave()
        assert second_dog.result(10) is None
    assert not queue.offer("dog", "a warm one")


def test_a_turn_ends_with_an_error_too() -> None:
    queue = StartQueue[str](1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no program"), queue.turn():
            raise ValueError("no program")


def test_never_more_than_so_many() -> None:
    queue, lock = StartQueue[str](3), threading.Lock()
    now, most = 0, 0

    def start() -> None:
        nonlocal now, most
        with queue.turn():
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.002)
            with lock:
                now -= 1

    with ThreadPoolExecutor(50) as pool:
        for each in [pool.submit(start) for _ in range(200)]:
            each.result(10)
    assert (now, most) == (0, 3)


def test_the_end_lets_everybody_go() -> None:
    queue = StartQueue[str](1)
    queue.enter()
    with ThreadPoolExecutor() as pool:
        waiting = entering(pool, queue)
        queue.close()
        with pytest.raises(ApiError) as refused:
            waiting.result(10)
    assert refused.value.status == 503
    queue.leave()
    with pytest.raises(ApiError):
        queue.enter()
