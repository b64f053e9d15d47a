"""The parts of the benchmark of the serving container that need no server of ours."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serve_load import Load, percentile, run
from benchmarks.serve_page import table
from benchmarks.serve_speed import ratios


def load(rate: int, took_s: float = 0.01) -> Load:
    return Load(1.0, {200: [took_s] * rate})


@pytest.mark.parametrize(("share", "value"), [(50, 2.0), (99, 4.0), (1, 1.0), (100, 4.0)])
def test_a_percentile_is_one_of_the_values(share: int, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], share) == value


def test_figures_name_refusals_only_when_there_are_some() -> None:
    assert load(3).figures() == {"answered_per_s": 3.0, "answer_p50_ms": 10.0, "answer_p99_ms": 10.0}
    assert Load(2.0, {503: [0.001] * 4}).figures() == {
        "answered_per_s": 0.0,
        "refusal_p50_ms": 1.0,
        "refusal_p99_ms": 1.0,
        "refused_per_s": 2.0,
    }


def test_ratios_are_those_of_a_round() -> None:
    ours = {1: [load(10, 0.02), load(10, 0.04)], 8: [load(100), load(50)], 32: [load(100)] * 2, 256: [load(50)] * 2}
    peer = {8: [load(50), load(25)]}
    limits = {"http": [1000.0, 500.0], "forward": [250.0, 125.0], "decode": [1000.0, 500.0], "one_thread": [50.0, 25.0]}
    assert ratios(ours, peer, limits) == {
        "ours over the peer at 8 clients": 2.0,
        "ours over what the limits allow at 8 clients": 0.6,
        "32 clients over 8": 1.5,
        "256 clients over 8": 0.75,
        "p99 of 1 client over the raw time of an image": 1.0,
    }


def test_the_table_has_a_row_for_each_server_and_for_each_model() -> None:
    shown = {f"{clients} clients": load(5).figures() for clients in (1, 8, 32, 256)}
    model = {
        "engine": {"engine": "onnx", "precision": "f32", "streams": "1"},
        "servers": {"stagemaker": shown | {"first_answer_s": 0.9, "memory_mb": 150}},
        "limits_per_s": {"http": 1000.0},
        "ratios": {"32 clients over 8": 1.0},
    }
    lines = table({"rounds": 3, "tiny": model}).splitlines()
    assert lines[2] == "| tiny | stagemaker | 5 / 10 | 5 / 10 | 5 / 10 | 5 / 10 | 0.9 | 150 |"
    assert lines[-1] == "| tiny | onnx f32 1 | http 1000.0 | 32 clients over 8 1.0 |"


class Counting(BaseHTTPRequestHandler):
    """Answers every third request with 503."""

    protocol_version = "HTTP/1.1"
    seen = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        Counting.seen += 1
        self.send_response(200 if Counting.seen % 3 else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_args: object) -> None:
        pass


def test_a_load_counts_answers_and_refusals() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Counting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            found = run(
                ("127.0.0.1", server.server_address[1]), [b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"], 1, 0.5
            )
        finally:
            server.shutdown()
            thread.join()
    answered, refused = (len(found.took_s.get(status, [])) for status in (200, 503))
    assert answered + refused in (Counting.seen - 1, Counting.seen)  # the last answer comes after the end
    assert refused == (answered + refused) // 3
