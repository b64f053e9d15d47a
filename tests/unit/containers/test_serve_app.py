"""The application of one model: calls of the model go past FastAPI's layers, and everything else through them."""

import asyncio

import httpx
import numpy as np
import numpy.typing as npt

from containers.serve.app import Service, create_app
from containers.serve.connections import Queue
from containers.serve.engines import SAFE_CHOICE, Engine, Logits
from containers.serve.model import Model
from containers.serve.settings import ServeSettings
from containers.serve.workers import Workers
from ml.artifact import ModelCard
from tests.unit.containers.serve_process import CLASSES, GOOD, PREPROCESSING

PNG = {"content-type": "image/png"}


def ask(method: str, path: str, failure: Exception | None = None, **options: object) -> httpx.Response:
    def run(batch: npt.NDArray[np.float32]) -> Logits:
        if failure:
            raise failure
        return batch.mean(axis=(2, 3))

    workers = Workers(1)
    model = Model(ModelCard(CLASSES, "", PREPROCESSING, {}, {}, "", {}, {}), Engine(SAFE_CHOICE, run))
    app = create_app(model, Service(workers, ServeSettings.from_environment({}), Queue(1)))

    async def answer() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.request(method, path, **options)  # type: ignore[arg-type]

    try:
        return asyncio.run(answer())
    finally:
        workers.close()


def test_a_model_that_fails_is_a_500_that_tells_nothing() -> None:
    answered = ask("POST", "/invocations", RuntimeError("secret"), content=GOOD, headers=PNG)
    assert answered.status_code == 500
    assert answered.json() == {"error": "The model failed; the container's log has the reason."}


def test_a_refusal_is_json_with_its_status() -> None:
    refused = ask("POST", "/invocations", content=GOOD, headers={"content-type": "text/plain"})
    assert (refused.status_code, list(refused.json())) == (415, ["error"])


def test_of_several_headers_of_a_name_the_first_counts() -> None:
    headers = [("content-type", "image/png"), ("accept", "text/csv"), ("accept", "application/json")]
    assert ask("POST", "/invocations", content=GOOD, headers=headers).headers["content-type"] == "text/csv"


def test_other_methods_and_paths_are_those_of_fastapi() -> None:
    assert ask("GET", "/invocations").status_code == 405
    assert ask("POST", "/other").status_code == 404
    assert ask("GET", "/ping").status_code == 200
