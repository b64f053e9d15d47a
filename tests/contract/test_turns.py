"""Long documents are read in turn."""

import threading
from collections.abc import Callable

import pytest
from localstack.http import Request, Response

from stagemaker.adapters.turns import MOST_WAITING, SHORT_BYTES, Full, InTurn, Room, document_bytes
from stagemaker.api.body_limits import CODE_BYTES, DOCUMENT_BYTES
from tests.contract.gateway import until

MIB = 1 << 20


class Visitors:
    """Threads that come into a room by their name, and go when they are told."""

    def __init__(self, size_bytes: int, most_waiting: int) -> None:
        self.room = Room(size_bytes, most_waiting)
        self.came: list[str] = []
        self.refused: list[str] = []
        self._go: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def come(self, name: str, size_bytes: int) -> None:
        self._go[name] = threading.Event()
        self._threads.append(threading.Thread(target=self._visit, args=(name, size_bytes)))
        self._threads[-1].start()

    def go(self, name: str) -> None:
        self._go[name].set()

    def end(self) -> None:
        for go in self._go.values():
            go.set()
        for thread in self._threads:
            thread.join(10)

    def _visit(self, name: str, size_bytes: int) -> None:
        try:
            with self.room.taken(size_bytes):
                self.came.append(name)
                self._go[name].wait(10)
        except Full:
            self.refused.append(name)


def come(visitors: Visitors, name: str, size_bytes: int, here: Callable[[], list[str]]) -> None:
    """And wait until it is seen."""
    visitors.come(name, size_bytes)
    until(here, lambda names: name in names)


def test_so_many_come_as_there_is_room_for_in_their_order() -> None:
    visitors = Visitors(10, 2)
    try:
        for name, size_bytes in (("a", 6), ("b", 4)):
            come(visitors, name, size_bytes, lambda: visitors.came)
        visitors.come("long", 8)
        until(lambda: visitors.room.waiting, lambda waiting: waiting == 1)
        visitors.come("short", 1)
        until(lambda: visitors.room.waiting, lambda waiting: waiting == 2)
        come(visitors, "late", 1, lambda: visitors.refused)
        visitors.go("b")
        assert visitors.came == ["a", "b"]
        visitors.go("a")
        until(lambda: visitors.came, lambda came: came == ["a", "b", "long", "short"])
    finally:
        visitors.end()


def test_one_that_is_longer_than_the_room_comes_alone() -> None:
    visitors = Visitors(10, 5)
    try:
        come(visitors, "a", 1, lambda: visitors.came)
        visitors.come("large", 70)
        until(lambda: visitors.room.waiting, lambda waiting: waiting == 1)
        assert visitors.came == ["a"]
        visitors.go("a")
        until(lambda: visitors.came, lambda came: came == ["a", "large"])
    finally:
        visitors.end()


def test_room_is_given_back_after_an_error() -> None:
    room = Room(10, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.taken(10):
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("method", "path", "headers", "size_bytes"),
    [
        ("POST", "/", {"X-Amz-Target": "SageMaker.ListModels", "Content-Length": "7"}, 7),
        ("POST", "/", {"Content-Encoding": "gzip", "Content-Length": "7"}, DOCUMENT_BYTES),
        ("POST", "/", {"Transfer-Encoding": "chunked"}, DOCUMENT_BYTES),
        ("POST", "/2015-03-31/functions", {"Transfer-Encoding": "chunked"}, CODE_BYTES),
        ("GET", "/", {}, 0),
        ("POST", "/endpoints/a/invocations", {"Content-Length": "7"}, 0),
        ("POST", "/2015-03-31/functions/a/invocations", {"Content-Length": "7"}, 0),
        ("PUT", "/data/key", {"Content-Length": "7"}, 0),
    ],
)
def test_what_is_read_whole(method: str, path: str, headers: dict[str, str], size_bytes: int) -> None:
    request = Request(method, path, headers={"Host": "localhost", **headers})
    assert document_bytes(request) == size_bytes


class SlowGateway:
    """Answers when it is told to, and knows how many bytes it has been given at once."""

    def __init__(self) -> None:
        self.go, self._lock = threading.Event(), threading.Lock()
        self.bytes_now = self.most_bytes = self.answered = 0

    def process(self, request: Request, response: Response) -> None:
        size_bytes = int(request.content_length or 0)
        with self._lock:
            self.bytes_now += size_bytes
            self.most_bytes = max(self.most_bytes, self.bytes_now)
        assert size_bytes <= SHORT_BYTES or self.go.wait(10)
        with self._lock:
            self.bytes_now -= size_bytes
            self.answered += 1
        response.status_code = 200


def document(size_bytes: int) -> Request:
    """The head of a request with a document of that length."""
    headers = {"Host": "localhost", "X-Amz-Target": "SageMaker.ListModels", "Content-Length": str(size_bytes)}
    return Request("POST", "/", headers=headers)


def test_long_documents_are_read_in_turn_and_short_ones_at_once() -> None:
    gateway = SlowGateway()
    in_turn, answers = InTurn(gateway), [Response() for _ in range(MOST_WAITING + 5)]
    calls = [threading.Thread(target=in_turn.process, args=(document(4 * MIB), answer)) for answer in answers]
    for call in calls:
        call.start()
    try:
        until(lambda: gateway.bytes_now, lambda size_bytes: size_bytes == 16 * MIB)
        until(lambda: [answer.status_code for answer in answers].count(503), lambda refused: refused == 1)
        short = Response()
        in_turn.process(document(SHORT_BYTES), short)
        assert short.status_code == 200
    finally:
        gateway.go.set()
        for call in calls:
            call.join(30)
    assert gateway.most_bytes <= 16 * MIB + SHORT_BYTES
    assert gateway.answered == MOST_WAITING + 5
