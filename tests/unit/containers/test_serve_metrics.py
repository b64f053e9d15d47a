"""What the server says of itself: its figures, whether its model answers, and that gone clients hold no place."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import Request

from containers.serve import workers as workers_module
from containers.serve.app import Service, until_gone
from containers.serve.connections import Queue
from containers.serve.engines import SAFE_CHOICE, Batch, Engine, EngineChoice, Logits
from containers.serve.metrics import StageTimes, render
from containers.serve.model import Model
from containers.serve.refused import Refused
from containers.serve.settings import CHUNK, MAX_INSTANCES, ServeSettings
from containers.serve.workers import MAX_FAILURES, Workers
from ml.artifact import ModelCard
from tests.unit.containers.serve_process import CLASSES, GOOD, PREPROCESSING, TIMEOUT_S, invoke, serving, wait_until
from tests.unit.containers.serve_requests import HEAD, PATIENT, SinglePlace, connected


def figures(text: str) -> dict[str, float]:
    """The samples by name and labels."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_the_figures_are_in_prometheus_s_format() -> None:
    stages, queue = StageTimes(), Queue(3)
    stages.add(4, {"wait": 0.0005, "decode": 0.001, "model": 0.02})
    stages.add(1, {"wait": 20.0, "decode": 0.002, "model": 0.02})
    text = render(stages, queue, EngineChoice("openvino", "bf16", 2))
    assert text.endswith("\n")
    assert all(re.fullmatch(r'(# (HELP|TYPE) .+|\w+({(\w+="[^"]+",?)+})? [0-9.]+)', line) for line in text.splitlines())
    found = figures(text)
    assert found["stagemaker_serve_images_total"] == 5
    assert found['stagemaker_serve_engine_info{engine="openvino",precision="bf16",streams="2"}'] == 1
    assert (found["stagemaker_serve_queue_places"], found["stagemaker_serve_queue_requests"]) == (3, 0)
    bucket = "stagemaker_serve_stage_seconds_bucket"
    assert [found[f'{bucket}{{stage="decode",le="{le}"}}'] for le in ("0.001", "0.0025", "+Inf")] == [1, 2, 2]
    assert [found[f'{bucket}{{stage="wait",le="{le}"}}'] for le in ("0.001", "10.0", "+Inf")] == [1, 1, 2]
    assert found['stagemaker_serve_stage_seconds_sum{stage="model"}'] == 0.04
    assert "engine_info" not in render(stages, queue, None)


def test_a_server_counts_images_and_names_its_engine(base: Path) -> None:
    with serving(base, PATIENT) as (client, _process):
        assert invoke(client, GOOD, "image/png").status_code == 200
        answer = client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4"
        found = figures(answer.text)
        assert found["stagemaker_serve_images_total"] == 1
        assert found['stagemaker_serve_engine_info{engine="onnx",precision="f32",streams="1"}'] == 1
        assert found["stagemaker_serve_queue_requests"] == 0


def test_a_refusal_of_a_full_queue_is_counted(single: SinglePlace) -> None:
    def refused() -> float:
        return figures(single.client.get("/metrics").text)["stagemaker_serve_refused_total"]

    before = refused()
    with single.occupied():
        assert invoke(single.client, GOOD, "image/png").status_code == 503
        assert refused() == before + 1


def test_a_client_that_goes_away_frees_its_place(single: SinglePlace) -> None:
    body = b'{"url": "http://127.0.0.1:%d/held"}' % single.origin.port
    calls = len(single.origin.handler.seen)
    with connected(single.client) as gone:
        gone.sendall(HEAD.replace(b"image/png", b"application/json") % len(body) + body)
        wait_until(lambda: len(single.origin.handler.seen) > calls)
        assert invoke(single.client, GOOD, "image/png").status_code == 503
    wait_until(lambda: invoke(single.client, GOOD, "image/png").status_code == 200)
    single.origin.stopping.set()
    single.origin.stopping.clear()


class Gate:
    """A model that computes when the test lets it, and fails when the test says so."""

    def __init__(self) -> None:
        self.sizes: list[int] = []  # of the batches that have begun
        self.failure: Exception | None = None
        self.open = threading.Event()
        self.model = Model(ModelCard(CLASSES, "", PREPROCESSING, {}, {}, "", {}, {}), Engine(SAFE_CHOICE, self._run))

    @property
    def runs(self) -> int:
        return len(self.sizes)

    def _run(self, batch: Batch) -> Logits:
        self.sizes.append(len(batch))
        assert self.open.wait(TIMEOUT_S)
        if self.failure:
            raise self.failure
        return batch.mean(axis=(2, 3))


def with_gate(test: Callable[[Workers, Gate], Awaitable[None]]) -> None:
    workers, gate = Workers(1), Gate()

    async def limited() -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await test(workers, gate)

    try:
        asyncio.run(limited())
    finally:
        gate.open.set()
        workers.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def ping(workers: Workers) -> int:
    service = Service(workers, ServeSettings.from_environment({}), Queue(1))
    return (await service.ping(Request({"type": "http"}))).status_code


def test_images_of_a_client_that_went_away_are_not_computed() -> None:
    async def test(workers: Workers, gate: Gate) -> None:
        first = asyncio.create_task(workers.logits(gate.model, [GOOD]))
        await until(lambda: gate.runs == 1)

        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        with pytest.raises(Refused, match="The client went away"):
            await until_gone(Request({"type": "http"}, receive), workers.logits(gate.model, [GOOD] * 8))
        for _ in range(10):
            await asyncio.sleep(0)  # the loop cancels what waits for a thread
        gate.open.set()
        await first
        await workers.logits(gate.model, [GOOD])
        assert gate.runs == 2

    with_gate(test)


def test_an_image_waits_for_a_part_of_a_large_request_only() -> None:
    async def test(workers: Workers, gate: Gate) -> None:
        large = asyncio.create_task(workers.logits(gate.model, [GOOD] * MAX_INSTANCES))
        await until(lambda: gate.runs == 1)
        single = asyncio.create_task(workers.logits(gate.model, [GOOD]))
        await asyncio.sleep(0)  # it waits for a thread
        gate.open.set()
        assert (await single).shape == (1, 3)
        assert (await large).shape == (MAX_INSTANCES, 3)
        assert gate.sizes == [CHUNK, CHUNK, 1, *[CHUNK] * (MAX_INSTANCES // CHUNK - 2)]

    with_gate(test)


def test_a_model_that_hangs_turns_ping_false_until_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(workers: Workers, gate: Gate) -> None:
        assert await ping(workers) == 200
        asking = asyncio.create_task(workers.logits(gate.model, [GOOD]))
        await until(lambda: gate.runs == 1)
        assert await ping(workers) == 200
        monkeypatch.setattr(workers_module, "STUCK_S", 0.0)
        assert await ping(workers) == 503
        gate.open.set()
        assert np.shape(await asking) == (1, 3)
        assert await ping(workers) == 200

    with_gate(test)


@pytest.mark.parametrize(("failure", "status"), [(RuntimeError("broken"), 503), (MemoryError(), 200)])
def test_a_model_that_only_fails_turns_ping_false_but_not_for_want_of_memory(failure: Exception, status: int) -> None:
    async def test(workers: Workers, gate: Gate) -> None:
        gate.open.set()
        gate.failure = failure
        for _ in range(MAX_FAILURES):
            assert await ping(workers) == 200
            with pytest.raises(type(failure)):
                await workers.logits(gate.model, [GOOD])
        assert await ping(workers) == status
        gate.failure = None
        await workers.logits(gate.model, [GOOD])
        assert await ping(workers) == 200

    with_gate(test)


def test_metrics_of_a_server_of_many_models_name_no_engine(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with serving(tmp_path, PATIENT, SAGEMAKER_MULTI_MODEL="true") as (client, _process):
        assert "engine_info" not in client.get("/metrics").text
