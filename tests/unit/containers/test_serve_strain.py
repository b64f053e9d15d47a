"""Clients that send slowly, send nothing or read nothing keep nobody else out. A full server refuses."""

import asyncio
import json
import select
import socket
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from containers.serve.connections import Pool, Queue
from containers.serve.settings import Limits
from tests.unit.containers.serve_process import GOOD, TIMEOUT_S, best, invoke, wait_until
from tests.unit.containers.serve_requests import (
    HEAD,
    PING,
    REQUEST,
    SinglePlace,
    connected,
    half_sent,
    is_closed,
    read_answer,
    send_head,
)


def status(connection: socket.socket) -> int:
    return read_answer(connection).status


def test_bodies_that_are_still_coming_hold_no_place(single: SinglePlace) -> None:
    with ExitStack() as stack:
        waiting = [stack.enter_context(half_sent(single.client)) for _ in range(8)]
        assert best(invoke(single.client, GOOD, "image/png")) == ["red"]
        for connection in waiting:
            connection.send(GOOD[-1:])
            assert connection.getresponse().status == 200


def test_a_late_body_is_refused(hasty: SinglePlace) -> None:
    with connected(hasty.client) as late:
        late.sendall(HEAD % len(GOOD))
        response = read_answer(late)
        assert (response.status, response.headers["connection"]) == (408, "close")
        sentence = "The body did not arrive within 0.2 s, and was slower than 1 bytes a second."
        assert json.loads(response.body) == {"error": sentence}
        assert is_closed(late)


def test_what_has_come_of_a_body_gives_it_more_time(hasty: SinglePlace) -> None:
    with connected(hasty.client) as slow, connected(hasty.client) as empty:
        slow.sendall(REQUEST[:-1])
        empty.sendall(HEAD % len(GOOD))
        assert status(empty) == 408  # the other is older
        slow.sendall(REQUEST[-1:])
        assert status(slow) == 200


@pytest.mark.parametrize("sent", [b"POST /invocations HTTP/1.1\r\nHost: x", b"\r\n", PING + b"GET /pi"])
def test_a_late_head_is_refused(hasty: SinglePlace, sent: bytes) -> None:
    with connected(hasty.client) as late:
        late.sendall(sent)
        if sent.startswith(PING):
            assert status(late) == 200
        response = read_answer(late)
        assert (response.status, response.headers["connection"]) == (408, "close")
        assert is_closed(late)


def test_a_connection_without_a_request_is_closed(impatient: httpx.Client) -> None:
    with connected(impatient) as idle:
        assert is_closed(idle)


def test_a_connection_without_another_request_is_closed(impatient: httpx.Client) -> None:
    def is_closed_after_an_answer() -> bool:
        with connected(impatient) as idle:
            try:
                idle.sendall(PING)
                assert status(idle) == 200
            except ConnectionError:  # the server's time was over before it had the ping
                return False
            return is_closed(idle)

    wait_until(is_closed_after_an_answer)


def test_a_client_that_reads_nothing_is_cut_off(impatient: httpx.Client) -> None:
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.settimeout(TIMEOUT_S)
        greedy.connect((impatient.base_url.host, impatient.base_url.port))
        with pytest.raises(ConnectionError):
            greedy.sendall(PING * 1_000_000)  # the server soon reads no more


def test_too_many_unused_connections_close_one(small: httpx.Client) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(small)) for _ in range(4)]
        (closed,) = select.select(connections, [], [], TIMEOUT_S)[0]
        assert is_closed(closed)
        connections.remove(closed)
        for connection in connections:
            connection.sendall(PING)
            assert status(connection) == 200


@pytest.mark.parametrize("more", [b"", b"GET /ping HTTP/1.1\r\n"])
def test_too_many_connections_without_a_request_close_the_oldest(small: httpx.Client, more: bytes) -> None:
    with ExitStack() as stack:
        connections = []
        for _ in range(4):
            connections.append(stack.enter_context(connected(small)))
            connections[-1].sendall(PING + more)
            assert status(connections[-1]) == 200  # the server has read what came, before it accepts the next
        assert is_closed(connections[0])
        connections[-1].sendall(PING.removeprefix(more))
        assert status(connections[-1]) == 200


def test_an_answered_connection_counts_as_new(small: httpx.Client) -> None:
    with ExitStack() as stack:

        def opened() -> socket.socket:
            connection = stack.enter_context(connected(small))
            assert answered(connection) == 200
            return connection

        def answered(connection: socket.socket) -> int:
            connection.sendall(PING)
            return status(connection)

        first, second, _ = (opened() for _ in range(3))
        assert answered(first) == 200
        opened()  # one more than the server keeps: the second is now the oldest
        assert is_closed(second)
        assert answered(first) == 200


def test_too_many_bodies_refuse_the_oldest(small: httpx.Client) -> None:
    with ExitStack() as stack:
        oldest, *others = [stack.enter_context(half_sent(small)) for _ in range(4)]
        refused = oldest.getresponse()
        assert (refused.status, refused.headers["retry-after"], refused.headers["connection"]) == (503, "1", "close")
        for connection in others:
            connection.send(GOOD[-1:])
            assert connection.getresponse().status == 200


def test_too_large_bodies_refuse_the_oldest(small: httpx.Client) -> None:
    with connected(small) as oldest, connected(small) as other:
        for connection in (oldest, other):
            send_head(connection, 6 * len(GOOD))
        for connection in (oldest, other):
            connection.sendall(GOOD + bytes(5 * len(GOOD) - 1))
        assert status(oldest) == 503
        other.sendall(bytes(1))
        assert status(other) == 200


def test_a_full_server_answers_ping_and_keeps_the_connections_that_it_refuses(single: SinglePlace) -> None:
    with single.occupied() as finish, connected(single.client) as connection:
        for _ in range(3):
            connection.sendall(REQUEST)
            refused = read_answer(connection)
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert refused.headers["content-type"] == "application/json"
            connection.sendall(PING)
            assert status(connection) == 200
        assert finish().status == 200
        connection.sendall(REQUEST)
        assert status(connection) == 200


def test_a_full_server_refuses_before_the_body(single: SinglePlace) -> None:
    with single.occupied(), connected(single.client) as connection:
        connection.sendall(HEAD % len(GOOD))
        assert status(connection) == 503
        connection.sendall(GOOD + PING)
        assert status(connection) == 200


def test_a_full_server_does_not_ask_for_a_body(single: SinglePlace) -> None:
    with single.occupied(), connected(single.client) as connection:
        connection.sendall((HEAD % len(GOOD)).replace(b"Host", b"Expect: 100-continue\r\nHost"))
        refused = read_answer(connection)
        assert (refused.status, refused.headers["connection"]) == (503, "close")
        assert is_closed(connection)


def test_a_refused_body_must_end_in_time(hasty: SinglePlace) -> None:
    with hasty.occupied(), connected(hasty.client) as connection:
        connection.sendall(HEAD % len(GOOD))
        assert status(connection) == 503
        assert is_closed(connection)


def test_requests_in_one_piece_are_answered_in_their_order(client: httpx.Client) -> None:
    with connected(client) as connection:
        connection.sendall(PING + REQUEST + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n" + REQUEST)
        assert [status(connection) for _ in range(4)] == [200, 200, 404, 200]


def test_thousands_of_requests_in_one_piece_are_refused(single: SinglePlace) -> None:
    with single.occupied(), connected(single.client) as connection:
        connection.sendall(REQUEST * 2000)
        assert {status(connection) for _ in range(2000)} == {503}
        connection.sendall(PING)
        assert status(connection) == 200


@pytest.mark.parametrize("length", [b"\xb2", b"\xd9\xa3", b"1_0", b"+5", b"-5", b"5, 6"])
def test_a_length_has_only_the_digits_0_to_9(client: httpx.Client, length: bytes) -> None:
    with connected(client) as connection:
        connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
        assert status(connection) == 400


class Member:
    """A connection that only notes that it was closed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.closed = False

    def make_room(self) -> None:
        self.closed = True
        self.pool.discard(self)


def test_a_pool_closes_its_oldest_member() -> None:
    pool = Pool(2)
    first, second, third = (Member(pool) for _ in range(3))
    pool.add(first)
    pool.add(second)
    pool.discard(first)
    pool.add(first)
    pool.add(third)
    assert [first.closed, second.closed, third.closed] == [False, True, False]


def test_a_place_is_free_when_the_answer_begins() -> None:
    queue, seen = Queue(1), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(queue.is_full())
        await send({"type": "http.response.start"})
        await send({"type": "http.response.body"})

    async def send(event: Any) -> None:
        seen.append(queue.is_full())

    asyncio.run(queue.hold(app)({}, None, send))  # type: ignore[arg-type] # the application reads neither
    assert seen == [True, False, False]


def test_a_place_is_free_after_a_failure() -> None:
    queue = Queue(1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(queue.hold(app)({}, None, None))  # type: ignore[arg-type] # the application reads none
    assert not queue.is_full()


def test_few_open_files_make_small_pools() -> None:
    assert Limits.for_open_files(1024) == Limits(connections=256)
    assert Limits.for_open_files(1_048_576) == Limits()
