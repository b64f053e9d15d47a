"""The server from its start to its end, as SageMaker and a container runtime see it."""

import signal
from pathlib import Path

import httpx
import pytest

from benchmarks.ports import free_port
from ml.artifact import ONNX_FILE
from tests.unit.containers.serve_process import (
    GOOD,
    TIMEOUT_S,
    best,
    invoke,
    serving,
    start,
    wait_until,
    write_model,
)
from tests.unit.containers.serve_requests import PING, SinglePlace, connected, half_sent, is_closed, read_answer


def test_a_full_server_refuses_at_once_and_recovers(single: SinglePlace) -> None:
    client = single.client
    with single.occupied() as finish:
        refused = invoke(client, GOOD, "image/png")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "The server is busy; try again."}
        assert client.get("/ping").status_code == 200
        assert finish().status == 200
        assert best(invoke(client, GOOD, "image/png")) == ["red"]


def listens(client: httpx.Client) -> bool:
    try:
        httpx.get(f"{client.base_url}/ping", timeout=TIMEOUT_S, trust_env=False)
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_requests_and_exits_0(base: Path, number: signal.Signals) -> None:
    with serving(base) as (client, process), half_sent(client) as held:
        process.send_signal(number)
        wait_until(lambda: not listens(client))  # it stops listening, but finishes the requests that it has begun
        held.send(GOOD[-1:])
        assert held.getresponse().status == 200
        assert process.wait(TIMEOUT_S) == 0


def test_connections_without_a_request_do_not_hold_up_the_end(base: Path) -> None:
    with serving(base) as (client, process), connected(client) as unused, connected(client) as half:
        half.sendall(PING + b"POST /invocations HTTP/1.1\r\n")
        assert read_answer(half).status == 200  # the server has read the rest too
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        assert is_closed(unused)
        assert is_closed(half)


def test_a_client_that_disconnects_frees_its_slot(base: Path) -> None:
    with serving(base, STAGEMAKER_SERVE_QUEUE="1") as (client, _process):
        with half_sent(client):
            pass
        wait_until(lambda: invoke(client, GOOD, "image/png").status_code != 503)


def failed_start(base: Path, **environment: str) -> str:
    with start(base, free_port(), **environment) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 1
        assert "Traceback" not in output
        return output


def test_a_server_without_a_model_does_not_start(tmp_path: Path) -> None:
    assert "has no model.json" in failed_start(tmp_path)


def test_a_server_with_a_broken_model_does_not_start(tmp_path: Path) -> None:
    write_model(tmp_path / "model")
    (tmp_path / "model" / ONNX_FILE).write_bytes(b"broken")
    assert "model.onnx cannot be loaded" in failed_start(tmp_path)


def test_a_server_whose_model_does_not_fit_its_card_does_not_start(tmp_path: Path) -> None:
    write_model(tmp_path / "model", classes=("red", "green"))
    assert "The model answers (1, 3) where the model card has 2 classes" in failed_start(tmp_path)


@pytest.mark.parametrize("name", ["SAGEMAKER_BIND_TO_PORT", "STAGEMAKER_SERVE_THREADS", "STAGEMAKER_SERVE_QUEUE"])
def test_an_unusable_setting_is_named(base: Path, name: str) -> None:
    assert f"{name} must be a whole number" in failed_start(base, **{name: "many"})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tensorrt", "must be one of auto, onnx, openvino, openvino-bf16, openvino-int8, torch"),
        ("torch", "use stagemaker/serve-gpu"),
    ],
)
def test_an_unknown_engine_and_a_missing_engine_are_named(base: Path, name: str, says: str) -> None:
    assert says in failed_start(base, STAGEMAKER_SERVE_ENGINE=name)


def test_the_server_listens_only_on_the_given_address_and_needs_no_second_port(base: Path) -> None:
    with serving(base, SAGEMAKER_SAFE_PORT_RANGE="21000-21999") as (client, process):
        own = {str(link.readlink()) for link in Path(f"/proc/{process.pid}/fd").iterdir()}
        sockets = [
            line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()
        ]
        listening = [fields[1] for fields in sockets if fields[3] == "0A" and f"socket:[{fields[9]}]" in own]
        assert listening == [f"0100007F:{client.base_url.port:04X}"]
