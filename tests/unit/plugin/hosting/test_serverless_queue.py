"""Requests wait in turn for a container that has no other request."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting.http_client import HttpClient
from stagemaker.hosting.instance import Lease
from stagemaker.hosting.passage import ContainerClient
from stagemaker.hosting.serverless_queue import Admission, QueueClosed, ServerlessQueue
from tests.unit.plugin.hosting_environment import PATIENCE_S, until


class OnePlace:
    """A container with one place, as the queue sees it."""

    def __init__(self, name: str, idle_s: float = 0.0) -> None:
        self.id, self.free_s = name, idle_s
        self.taken: Lease | None = None
        self.gone = False

    @property
    def idle_s(self) -> float | None:
        return None if self.taken or self.gone else self.free_s

    def take(self) -> Lease | None:
        self.taken = Lease(self.id, [ContainerClient("primary", HttpClient(("127.0.0.1", 1)))], self._leave)
        return self.taken

    def _leave(self, lease: Lease) -> None:
        if lease is self.taken:
            self.taken = None


class Stand:
    """A queue over containers that a test adds."""

    def __init__(self, *places: OnePlace, most: int = 5, wait_s: float = PATIENCE_S) -> None:
        self.places, self.began = list(places), list[int]()
        self.asked = threading.Event()  # for a container
        self.queue = ServerlessQueue("all", lambda: self.places, self.asked.set, self.began.append, wait_s=wait_s)
        self.queue.max_concurrency = most

    def waits(self, callers: ThreadPoolExecutor, admission: Admission, *besides: str) -> Future[Lease]:
        """A request that waits from now on."""
        before = self.queue.waiting
        call = callers.submit(admission.lease, besides)
        until(lambda: self.queue.waiting == before + 1, "a request that waits")
        return call


def test_no_container_has_two_requests() -> None:
    stand = Stand(OnePlace("a"), OnePlace("b"))
    with stand.queue.admit() as first, stand.queue.admit() as second:
        assert {first.lease().id, second.lease().id} == {"a", "b"}
        assert (stand.queue.running, stand.began) == (2, [1, 2])
        assert not stand.asked.is_set()
    assert stand.queue.running == 0


def test_the_container_that_was_busy_last_is_taken_first() -> None:
    stand = Stand(OnePlace("old", 200.0), OnePlace("new", 1.0))
    assert stand.queue.admit().lease().id == "new"


def test_one_more_than_max_concurrency_is_throttled() -> None:
    stand = Stand(OnePlace("a"), OnePlace("b"), most=1)
    with stand.queue.admit():
        with pytest.raises(ApiError) as error:
            stand.queue.admit()
        assert (error.value.code, error.value.status) == ("ThrottlingException", 400)
        assert "MaxConcurrency" in error.value.message
    assert stand.began == [1]
    stand.queue.admit()


def test_a_free_container_goes_to_the_request_that_has_waited_longest() -> None:
    stand = Stand(OnePlace("a"))
    with ThreadPoolExecutor(2) as callers:
        admissions = [stand.queue.admit() for _ in range(3)]
        lease = admissions[0].lease()
        second = stand.waits(callers, admissions[1])
        third = stand.waits(callers, admissions[2])
        assert stand.asked.is_set()
        lease.leave()
        admissions[0].close()
        second.result(PATIENCE_S).leave()
        assert not third.done()
        admissions[1].close()
        assert third.result(PATIENCE_S).id == "a"


def test_a_new_container_is_handed_out() -> None:
    stand = Stand()
    with ThreadPoolExecutor(1) as callers:
        call = stand.waits(callers, stand.queue.admit())
        stand.places.append(OnePlace("new"))
        stand.queue.hand_out()
        assert call.result(PATIENCE_S).id == "new"


def test_a_container_that_was_not_reached_is_not_taken_again() -> None:
    stand = Stand(OnePlace("dead"))
    with ThreadPoolExecutor(1) as callers:
        call = stand.waits(callers, stand.queue.admit(), "dead")
        stand.places.append(OnePlace("new"))
        stand.queue.hand_out()
        assert call.result(PATIENCE_S).id == "new"


def test_a_container_that_gave_no_answer_is_given_to_nobody() -> None:
    stand = Stand(OnePlace("stuck"))
    with ThreadPoolExecutor(1) as callers:
        with stand.queue.admit() as admission:
            admission.give_up(admission.lease().id)
        assert stand.asked.is_set()
        stand.places[0].taken = None
        assert stand.queue.given_up == {"stuck"}
        call = stand.waits(callers, stand.queue.admit())
        stand.places[0] = OnePlace("new")
        stand.queue.forget({"stuck"})
        stand.queue.hand_out()
        assert call.result(PATIENCE_S).id == "new"
    assert stand.queue.given_up == frozenset()


def test_who_waits_too_long_is_told_to_try_again() -> None:
    stand = Stand(wait_s=0.01)
    with pytest.raises(ApiError, match="No container of variant all was ready") as error, stand.queue.admit() as one:
        one.lease()
    assert (error.value.code, error.value.status) == ("ModelNotReadyException", 429)
    assert (stand.queue.waiting, stand.queue.running) == (0, 0)


def test_a_start_in_vain_fails_one_request() -> None:
    stand = Stand()
    with ThreadPoolExecutor(2) as callers:
        first = stand.waits(callers, stand.queue.admit())
        second = stand.waits(callers, stand.queue.admit())
        stand.queue.fail_first("it ended.")
        with pytest.raises(ApiError, match=r"could be started: it ended\.") as error:
            first.result(PATIENCE_S)
        assert (error.value.code, error.value.status) == ("ServiceUnavailable", 503)
        assert stand.queue.waiting == 1
        stand.queue.close()
        with pytest.raises(QueueClosed):
            second.result(PATIENCE_S)


def test_a_closed_queue_takes_nobody() -> None:
    stand = Stand(OnePlace("a"))
    admission = stand.queue.admit()
    stand.queue.close()
    with pytest.raises(QueueClosed):
        stand.queue.admit()
    with pytest.raises(QueueClosed):
        admission.lease()
    admission.close()
    admission.close()
    assert stand.queue.running == 0
