"""The parts of the benchmark of InvokeEndpoint that need no stack."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.invoke_endpoint import Burst, Target, burst, percentile, post, read_answer, summarize

BODY = b"0123456789"


class Handler(BaseHTTPRequestHandler):
    """Answers a POST to /invocations with its body, and every other POST with 500."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.path == "/invocations" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the original
        pass


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def received(*parts: bytes) -> Callable[[int], bytes]:
    """A socket's recv that returns the parts, and then the end of the connection."""
    left = iter(parts)
    return lambda _: next(left, b"")


def test_percentile_is_the_nearest_rank() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 50) == 100
    assert percentile(values, 99) == 198
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7


def test_the_figures_of_a_burst_are_in_milliseconds_and_per_second() -> None:
    figures = Burst(latencies_s=[0.002, 0.004, 0.006, 0.008], elapsed_s=0.5, client_cpu_s=0.1).figures()
    assert figures == pytest.approx({"p50_ms": 4, "p99_ms": 8, "requests_per_s": 8, "client_cpu_share": 0.2})


def test_a_summary_has_the_medians_of_the_rounds_and_what_the_gateway_adds() -> None:
    found = {
        "container": [{"p50_ms": 1.0}, {"p50_ms": 3.0}, {"p50_ms": 2.0}],
        "gateway": [{"p50_ms": 9.0}, {"p50_ms": 5.0}, {"p50_ms": 5.5}],
    }
    assert summarize(found) == {
        "container": {"p50_ms": 2.0},
        "gateway": {"p50_ms": 5.5},
        "added_at_p50_ms": 3.5,
        "rounds": 3,
    }


def test_a_request_names_the_service_in_its_credential_and_has_its_length() -> None:
    head, _, body = post("/endpoints/a/invocations", BODY).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /endpoints/a/invocations HTTP/1.1\r\n")
    assert b"/us-east-1/sagemaker/aws4_request" in head
    assert b"Content-Length: 10" in head.split(b"\r\n")
    assert body == BODY


def test_an_answer_is_read_from_the_parts_that_arrive() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n" + BODY
    assert read_answer(received(answer)) == (200, BODY)
    assert read_answer(received(*(answer[at : at + 3] for at in range(0, len(answer), 3)))) == (200, BODY)


def test_an_answer_without_a_length_or_an_end_is_an_error() -> None:
    with pytest.raises(ValueError, match="without Content-Length"):
        read_answer(received(b"HTTP/1.1 200 OK\r\n\r\n"))
    with pytest.raises(ConnectionError):
        read_answer(received(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n" + BODY))


def test_several_clients_measure_until_the_time_is_over(address: tuple[str, int]) -> None:
    found = burst(Target(address, post("/invocations", BODY)), clients=2, duration_s=0.1)
    assert len(found.latencies_s) >= 2
    assert found.elapsed_s >= 0.1


def test_an_unexpected_answer_ends_the_measurement(address: tuple[str, int]) -> None:
    with pytest.raises(ValueError, match="answered 500"):
        burst(Target(address, post("/other", BODY)), clients=2, duration_s=5)
