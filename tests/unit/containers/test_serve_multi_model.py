"""The interface of a multi-model endpoint: the real server with several tiny models."""

import asyncio
import json
import select
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from containers.serve.app import Service
from containers.serve.connections import Queue
from containers.serve.engines import SAFE_CHOICE, Engine, Logits
from containers.serve.model import Model
from containers.serve.models import Loader, Models
from containers.serve.multi_model import create_multi_model_app
from containers.serve.settings import ServeSettings
from containers.serve.workers import Workers
from ml.artifact import ONNX_FILE, ModelCard
from tests.unit.containers.fetch_server import running
from tests.unit.containers.serve_process import (
    CLASSES,
    GOOD,
    PREPROCESSING,
    b64,
    encode,
    serving,
    wait_until,
    write_model,
)
from tests.unit.containers.serve_requests import PATIENT, connected, read_answer

MULTI = {"SAGEMAKER_MULTI_MODEL": "true"}
MEMORY_OF_SEVEN = str(60 << 20)  # a model takes 8 MiB and twice its file


@pytest.fixture(scope="module")
def models_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three models, one whose graph is broken, one that does not fit its card, and a link out of it."""
    base = tmp_path_factory.mktemp("multi")
    for name, scale in (("one", 1), ("two", 2), ("three", 3), ("broken", 1)):
        write_model(base / "models" / name / "model", scale=scale)
    (base / "models" / "broken" / "model" / ONNX_FILE).write_bytes(b"broken")
    write_model(base / "models" / "unfit" / "model", ["red", "green"])
    write_model(base / "outside")
    (base / "models" / "link").symlink_to(base / "outside")
    return base


@pytest.fixture(scope="module")
def multi(models_base: Path) -> Iterator[httpx.Client]:
    with serving(models_base, STAGEMAKER_SERVE_MODELS_MEMORY_BYTES=MEMORY_OF_SEVEN, **MULTI) as (client, _process):
        yield client


@pytest.fixture(autouse=True)
def nothing_is_left_loaded(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "multi" in request.fixturenames:
        client = request.getfixturevalue("multi")
        for name in names(client):
            assert client.delete(path_of(name)).status_code == 200


def url_of(base: Path, folder: str) -> str:
    return str(base / "models" / folder / "model")


def path_of(name: str, end: str = "") -> str:
    return f"/models/{quote(name, safe='')}{end}"


def load(client: httpx.Client, base: Path, name: str, folder: str = "one") -> httpx.Response:
    return client.post("/models", json={"model_name": name, "url": url_of(base, folder)})


def invoke(client: httpx.Client, name: str, **headers: str) -> httpx.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(path_of(name, "/invoke"), content=GOOD, headers={"content-type": "image/png"} | headers)


def names(client: httpx.Client) -> list[str]:
    return [model["modelName"] for model in client.get("/models").json()["models"]]


def test_a_server_without_models_is_healthy(multi: httpx.Client) -> None:
    assert multi.get("/ping").status_code == 200
    assert multi.get("/models").json() == {"models": []}
    assert multi.post("/invocations", content=GOOD).status_code == 404
    assert "use GET /ping, or /models" in multi.get("/").json()["error"]


def test_a_model_is_loaded_shown_invoked_and_unloaded(multi: httpx.Client, models_base: Path) -> None:
    shown = {"modelName": "a", "modelUrl": url_of(models_base, "one")}
    assert load(multi, models_base, "a").json() == shown
    assert multi.get("/models").json() == {"models": [shown]}
    assert multi.get("/models/a").json() == shown
    assert invoke(multi, "a").json()[0][0] == pytest.approx(1)
    assert multi.delete("/models/a").status_code == 200
    for answer in (multi.get("/models/a"), multi.delete("/models/a"), invoke(multi, "a")):
        assert (answer.status_code, answer.json()) == (404, {"error": "The model 'a' is not loaded."})


def test_each_model_answers_for_itself_in_the_form_that_was_asked_for(multi: httpx.Client, models_base: Path) -> None:
    for name in ("one", "two"):
        assert load(multi, models_base, name, name).status_code == 200
    assert invoke(multi, "one").json()[0][0] == pytest.approx(1)
    assert invoke(multi, "two").json()[0][0] == pytest.approx(2)
    assert invoke(multi, "two", accept="text/csv").headers["content-type"] == "text/csv"
    labels = invoke(multi, "two", x_amzn_sagemaker_custom_attributes="top-k=1", x_amzn_sagemaker_target_model="x")
    assert [row[0]["label"] for row in labels.json()] == ["red"]
    lines = multi.post("/models/two/invoke", json=b64(*CLASSES), headers={"accept": "application/jsonlines"})
    assert lines.headers["transfer-encoding"] == "chunked"
    assert len(lines.text.splitlines()) == 3
    assert multi.post("/models/two/invoke", content=b"x", headers={"content-type": "image/png"}).status_code == 400


def test_a_loaded_name_is_refused(multi: httpx.Client, models_base: Path) -> None:
    assert load(multi, models_base, "a").status_code == 200
    again = load(multi, models_base, "a", "two")
    assert (again.status_code, again.json()) == (409, {"error": "The model 'a' is loaded already."})
    assert invoke(multi, "a").json()[0][0] == pytest.approx(1)


def test_a_model_without_memory_is_refused_until_another_is_unloaded(multi: httpx.Client, models_base: Path) -> None:
    assert [load(multi, models_base, name).status_code for name in "abcdefgh"] == [200] * 7 + [507]
    assert "bytes of memory, and" in load(multi, models_base, "h").json()["error"]
    assert multi.delete("/models/a").status_code == 200
    assert load(multi, models_base, "h").status_code == 200
    assert names(multi) == [*"bcdefgh"]


@pytest.mark.parametrize(
    ("folder", "says"),
    [("none", "has no model.json"), ("broken", "cannot be loaded"), ("unfit", "where the model card has 2 classes")],
)
def test_a_folder_that_is_no_model_is_refused(multi: httpx.Client, models_base: Path, folder: str, says: str) -> None:
    for _ in range(3):  # what a load has reserved is free again
        refused = load(multi, models_base, "a", folder)
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
        assert says in refused.json()["error"]
    assert load(multi, models_base, "a").status_code == 200


@pytest.mark.parametrize(
    "url",
    ["", "/", "one/model", "/etc", "{base}/outside", "{base}/models", "{base}/models/../outside", "{base}/models/link",
     "file://{base}/models/one/model"],
)  # fmt: skip
def test_a_url_outside_of_the_models_is_refused(multi: httpx.Client, models_base: Path, url: str) -> None:
    url = url.format(base=models_base)
    refused = multi.post("/models", json={"model_name": "a", "url": url})
    says = f"The url {url!r} is not a folder below {models_base / 'models'}."
    assert (refused.status_code, refused.json()) == (400, {"error": says})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[" * 60_000, 400),
        (b"[]", 400),
        (b'{"model_name": "a"}', 400),
        (b'{"model_name": 1, "url": "/opt/ml/models/a"}', 400),
        (b'{"model_name": "", "url": "/opt/ml/models/a"}', 400),
        (b'{"model_name": "a\\nb", "url": "/opt/ml/models/a"}', 400),
        (b'{"model_name": "\\ud800", "url": "/opt/ml/models/a"}', 400),
        (b'{"model_name": "a", "url": "/opt/ml/models/\\u0000"}', 400),
        (b'{"model_name": "%b", "url": "/"}' % (b"a" * 1025), 400),
        (b'{"model_name": "a", "url": "/%b"}' % (b"a" * 4096), 400),
        (b'{"model_name": "%b", "url": "/"}' % (b"a" * 65_536), 413),
    ],
)
def test_a_bad_request_to_load_is_refused(multi: httpx.Client, body: bytes, status: int) -> None:
    refused = multi.post("/models", content=body)
    assert (refused.status_code, list(refused.json())) == (status, ["error"])
    assert len(refused.content) < 400


def test_a_part_of_a_url_that_is_too_long_for_a_file_is_refused(multi: httpx.Client, models_base: Path) -> None:
    refused = load(multi, models_base, "a", "x" * 1000)
    assert (refused.status_code, list(refused.json())) == (400, ["error"])


@pytest.mark.parametrize("name", ["tenant/dog.tar.gz", "a/invoke", "100%/é ü", "a%2Fb", "?x=1#y", "..", "/"])
def test_a_name_may_have_any_printable_characters(multi: httpx.Client, models_base: Path, name: str) -> None:
    def call(method: str, end: str = "", **headers: str) -> httpx.Response:
        # As bytes, because httpx would resolve dots.
        address = httpx.URL(multi.base_url, raw_path=path_of(name, end).replace("..", "%2E%2E").encode())
        return multi.request(method, address, content=GOOD if end else b"", headers=headers)

    assert load(multi, models_base, name).status_code == 200
    assert call("GET").json()["modelName"] == name
    assert call("POST", "/invoke", **{"content-type": "image/png"}).status_code == 200
    assert call("DELETE").status_code == 200
    assert names(multi) == []


def test_models_are_listed_in_pages(multi: httpx.Client, models_base: Path) -> None:
    for name in "gfedcba":
        assert load(multi, models_base, name).status_code == 200
    pages = [multi.get("/models", params={"limit": "3"}).json()]
    while "nextPageToken" in pages[-1]:
        token = pages[-1]["nextPageToken"]
        pages.append(multi.get("/models", params={"limit": "3", "next_page_token": token}).json())
    assert [[model["modelName"] for model in page["models"]] for page in pages] == [[*"abc"], [*"def"], ["g"]]
    for limit in ("7", "1000"):
        assert "nextPageToken" not in multi.get("/models", params={"limit": limit}).json()


@pytest.mark.parametrize("limit", ["0", "x", "-1", ""])
def test_a_page_has_at_least_one_model(multi: httpx.Client, limit: str) -> None:
    assert multi.get("/models", params={"limit": limit}).status_code == 400


def test_calls_of_a_model_have_places_and_end_before_it_is_unloaded(models_base: Path) -> None:
    with running() as origin:
        environment = {"STAGEMAKER_SERVE_QUEUE": "1", "STAGEMAKER_FETCH_ALLOW": f"127.0.0.1:{origin.port}"} | MULTI
        with (
            serving(models_base, PATIENT, **environment) as (client, _process),
            connected(client) as held,
            connected(client) as unloading,
        ):
            assert load(client, models_base, "a").status_code == 200
            body = json.dumps({"url": f"http://127.0.0.1:{origin.port}/held"}).encode()
            head = b"POST /models/a/invoke HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            held.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            wait_until(lambda: len(origin.handler.seen) == 1)
            assert invoke(client, "a").status_code == 503
            assert load(client, models_base, "b").status_code == 200, "loading needs no place"
            unloading.sendall(b"DELETE /models/a HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: names(client) == ["b"])
            assert select.select([unloading], [], [], 0)[0] == []
            origin.stopping.set()
            assert read_answer(held).status == 200
            assert read_answer(unloading).status == 200


def test_a_model_that_runs_out_of_memory_answers_507() -> None:
    def run(batch: npt.NDArray[np.float32]) -> Logits:
        raise MemoryError

    model = Model(ModelCard(CLASSES, "", PREPROCESSING, {}, {}, "", {}, {}), Engine(SAFE_CHOICE, run))
    workers = Workers(1)
    models = Models(Path("/"), 1, Loader(lambda _: model, lambda _: 1))
    app = create_multi_model_app(models, Service(workers, ServeSettings.from_environment({}), Queue(1)))

    async def answers() -> tuple[httpx.Response, httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            loaded = await client.post("/models", json={"model_name": "a", "url": "/a"})
            headers = {"content-type": "image/png"}
            return loaded, await client.post("/models/a/invoke", content=encode("red"), headers=headers)

    loaded, refused = asyncio.run(answers())
    workers.close()
    models.close()
    assert loaded.status_code == 200
    assert (refused.status_code, list(refused.json())) == (507, ["error"])
