"""The parts of the benchmark of a server under ten times its load that need no server of ours."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from benchmarks.serve_load import whole_answer
from benchmarks.serve_overload import Flood, send

ANSWER = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nContent-Length: 3\r\n\r\nabc"
REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"


def test_an_answer_counts_when_it_is_whole() -> None:
    assert [whole_answer(ANSWER[:end]) for end in range(len(ANSWER))] == [None] * len(ANSWER)
    assert whole_answer(ANSWER) == 503


class Refusing(BaseHTTPRequestHandler):
    """Answers the first of a connection with 200, and refuses the others, every other one without Retry-After."""

    protocol_version = "HTTP/1.1"
    statuses: ClassVar[list[int]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status = 503 if len(self.statuses) % 2 else 200
        self.send_response(status)
        if len(self.statuses) % 4 == 1:
            self.send_header("retry-after", "1")
        self.statuses.append(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


def test_a_flood_counts_every_answer() -> None:
    lock = threading.Lock()

    class Counting(Refusing):
        statuses: ClassVar[list[int]] = []

        def do_POST(self) -> None:
            with lock:
                super().do_POST()

    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            flood = send(("127.0.0.1", server.server_address[1]), [REQUEST], 100.0, 0.5, lambda: 1.0)
        finally:
            server.shutdown()
            thread.join()
    assert len(flood.late_s) == len(Counting.statuses)
    for status in (200, 503):
        assert len(flood.took_s.get(status, [])) == Counting.statuses.count(status)
    assert flood.without_retry_after == len(Counting.statuses) // 4
    assert flood.ping_s
    assert not flood.failed_pings


def test_figures_say_what_a_caller_sees() -> None:
    flood = Flood(2.0, {200: [0.5, 1.5], 503: [0.001] * 8}, 2, 0, [0.002], 0, [0.0], [100.0, 130.0, 110.0])
    assert flood.figures() == {
        "answered_per_s": 1.0,
        "failed pings": 0,
        "refusal_p50_ms": 1.0,
        "refusal_p99_ms": 1.0,
        "ping_p50_ms": 2.0,
        "ping_p99_ms": 2.0,
        "sent late_p50_ms": 0.0,
        "sent late_p99_ms": 0.0,
        "refused_per_s": 4.0,
        "refusals without Retry-After": 0,
        "longest answer, s": 1.5,
        "memory_mb": 130,
        "most memory, in times of the beginning": 1.3,
    }


def test_a_request_without_an_answer_ends_the_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.serve_overload.LAST_ANSWER_S", 0.1)
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server,  # it accepts no connection
        pytest.raises(TimeoutError, match="requests are without an answer"),
    ):
        send(("127.0.0.1", server.server_address[1]), [REQUEST], 20.0, 0.1, lambda: 1.0)
