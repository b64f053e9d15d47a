"""The queue of an asynchronous endpoint."""

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.hosting import async_queue
from stagemaker.hosting.async_config import AsyncConfig
from stagemaker.hosting.async_queue import AsyncQueue
from stagemaker.hosting.async_request import AsyncRequest

CONFIG = AsyncConfig({"OutputConfig": {"S3OutputPath": "s3://data"}})


def request(name: str, *, queued_s: float = 0.0, ttl_s: int = 60, body: bytes = b"x") -> AsyncRequest:
    return AsyncRequest(name, CONFIG, {"Body": body, "RequestTTLSeconds": ttl_s}, "s3://data/x", None, queued_s, 0.0)


@pytest.fixture
def queue() -> AsyncQueue:
    made = AsyncQueue()
    for name, queued_s in (("a", 10.0), ("b", 20.0), ("c", 30.0)):
        made.add(request(name, queued_s=queued_s))
    return made


def name(taken: AsyncRequest | None) -> str | None:
    return taken.inference_id if taken else None


def test_the_oldest_is_first(queue: AsyncQueue) -> None:
    assert [name(queue.begin()) for _ in range(4)] == ["a", "b", "c", None]
    assert (queue.waiting, queue.backlog) == (0, 3)
    queue.end()
    assert queue.backlog == 2


def test_what_came_to_nothing_is_the_oldest_again(queue: AsyncQueue) -> None:
    taken = queue.begin()
    assert taken
    queue.put_back(taken)
    assert (queue.backlog, queue.waiting) == (3, 3)
    assert name(queue.begin()) == "a"


def test_the_oldest_that_waits_has_an_age(queue: AsyncQueue) -> None:
    assert queue.oldest_s(35.0) == 25.0
    queue.begin()
    assert queue.oldest_s(35.0) == 15.0
    assert AsyncQueue().oldest_s(35.0) == 0.0


def test_what_waited_too_long_is_taken_out_wherever_it_is(queue: AsyncQueue) -> None:
    queue.add(request("d", queued_s=30.0, ttl_s=61))
    assert queue.begin_expired(69.9) is None
    assert [name(queue.begin_expired(90.0)) for _ in range(4)] == ["a", "b", "c", None]
    queue.add(request("e", queued_s=80.0, ttl_s=1))
    assert name(queue.begin_expired(90.0)) == "e"
    assert name(queue.begin()) == "d"
    assert queue.backlog == 5


def test_a_queue_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_queue, "MOST_QUEUED", 2)
    monkeypatch.setattr(async_queue, "MOST_BYTES", 10)
    queue = AsyncQueue()
    queue.add(request("a", body=bytes(6)))
    with pytest.raises(ApiError) as error:
        queue.add(request("b", body=bytes(5)))
    assert (error.value.code, error.value.status) == ("ServiceUnavailable", 503)
    queue.add(request("b", body=bytes(4)))
    with pytest.raises(ApiError):
        queue.add(request("c", body=b""))
    queue.begin()
    queue.add(request("c", body=bytes(6)))
    assert queue.waiting == 2


def test_so_many_are_in_work_and_no_more(queue: AsyncQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_queue, "MOST_IN_WORK", 1)
    assert queue.begin()
    assert queue.begin() is None
    assert queue.begin_expired(1e9) is None
    queue.end()
    assert queue.begin_expired(1e9)
