"""The parts of the benchmark of the serving container that need no server of ours."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serve_load import Load, percentile, run
from benchmarks.serve_page import table
from benchmarks.serve_peers import PEERS, CannotRun, install, names, running
from benchmarks.serve_speed import OURS, Burst, Round, ratios
from infra.paths import CHECKOUT


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


def test_the_cpu_time_of_an_answer_is_known_without_refusals_only() -> None:
    assert Burst(load(4), 0.02).figures() == load(4).figures() | {"cpu_ms": 5.0}
    refused = Load(1.0, {200: [0.01], 503: [0.001]})
    assert Burst(refused, 0.02).figures() == refused.figures()


def test_ratios_are_those_of_a_round() -> None:
    def bursts(*loads: Load) -> dict[int, Burst]:
        return {clients: Burst(found, 0.0) for clients, found in zip((1, 8, 32, 256), loads, strict=True)}

    def limits(rate: float) -> dict[str, float]:
        return {"http": 4 * rate, "forward": rate, "decode": 4 * rate, "one_thread": rate / 5, "together": rate}

    ours = bursts(load(10, 0.02), load(100), load(100), load(50))
    slower = bursts(load(10, 0.04), load(50), load(100), load(50))
    peer = bursts(load(10), load(50), load(50), load(50))
    rounds = [Round({OURS: ours, "mosec": peer}, limits(250.0)), Round({OURS: slower, "ray": peer}, limits(125.0))]
    assert ratios(rounds) == {
        "ours over mosec at 8 clients": 2.0,
        "ours over ray at 8 clients": 1.0,
        "ours over what the limits allow at 8 clients": 0.6,
        "ours over what HTTP and both together allow at 8 clients": 0.5,
        "32 clients over 8": 1.5,
        "256 clients over 8": 0.75,
        "p99 of 1 client over the raw time of an image": 1.0,
    }


def test_peers_are_asked_for_by_name() -> None:
    assert names("mosec ray") == ("mosec", "ray")
    assert names("all") == tuple(PEERS)
    with pytest.raises(ValueError, match=r"PEERS knows fastapi, .* and all, not triton"):
        names("mosec triton")


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_a_lock_and_a_program(name: str) -> None:
    assert (CHECKOUT / "requirements" / f"{PEERS[name].environment}.txt").is_file()
    assert (CHECKOUT / "benchmarks" / "serve_programs" / PEERS[name].program).is_file()


def test_a_peer_that_needs_a_missing_program_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CannotRun, match="there is no java on the PATH"):
        install("torchserve")


def test_a_server_that_ends_before_its_first_answer_is_told_apart() -> None:
    with (
        pytest.raises(TimeoutError, match="it ends with 3 before its first answer"),
        running("dev", ["-c", "import sys; sys.exit(3)"], {}, b""),
    ):
        pass


def test_the_table_has_a_row_for_each_server_and_for_each_model() -> None:
    shown = {f"{clients} clients": Burst(load(5), 0.02).figures() for clients in (1, 8, 32, 256)}
    model = {
        "engine": {"engine": "onnx", "precision": "f32", "streams": "1"},
        "servers": {"stagemaker": shown | {"first_answer_s": 0.9, "memory_mb": 150}},
        "limits_per_s": {"http": 1000.0},
        "ratios": {"32 clients over 8": 1.0},
    }
    lines = table({"rounds": 3, "left out": {"ray": "it has no wheel"}, "tiny": model}).splitlines()
    assert lines[2] == "| tiny | stagemaker | 5 / 10 | 5 / 10 | 5 / 10 | 5 / 10 | 4.0 | 0.9 | 150 |"
    assert "Left out: ray: it has no wheel." in lines
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
