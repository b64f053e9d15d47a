"""Answers that come line by line: a line for each image, before the next images are predicted."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from containers.serve.connections import Queue
from containers.serve.engines import SAFE_CHOICE, Engine, Logits
from containers.serve.lines import LinesResponse
from containers.serve.model import Item, Model
from containers.serve.refused import Refused
from containers.serve.settings import CHUNK
from containers.serve.workers import Workers
from ml.artifact import ModelCard
from tests.unit.containers.serve_process import (
    CLASSES,
    GOOD,
    PREPROCESSING,
    TIMEOUT_S,
    b64,
    best,
    encode,
    invoke,
    invoke_json,
    serving,
    wait_until,
    write_model,
)
from tests.unit.containers.serve_requests import HEAD, PATIENT, PING, connected, read_answer

LINES = "application/jsonlines"
MANY_CLASSES = 20_000  # a line of 100 kB: a client that does not read it soon stops the server


def batch(*colours: str, accept: str = LINES) -> bytes:
    """A whole request for an answer with a line for each colour."""
    body = json.dumps(b64(*colours)).encode()
    head = HEAD.replace(b"image/png", b"application/json").replace(b"Host", b"Accept: %b\r\nHost" % accept.encode())
    return head % len(body) + body


def with_bad_image(index: int) -> dict[str, Any]:
    """Twelve images, of which one is none."""
    value = b64(*["red"] * 12)
    value["instances"][index]["b64"] = base64.b64encode(b"nothing").decode()
    return value


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with one place, whose model has many classes."""
    base = tmp_path_factory.mktemp("wide")
    write_model(base / "model", [str(number) for number in range(MANY_CLASSES)], outputs=MANY_CLASSES)
    with serving(base, PATIENT, STAGEMAKER_SERVE_QUEUE="1", STAGEMAKER_SERVE_THREADS="1") as (client, _process):
        yield client


def test_a_batch_is_answered_in_chunks(client: httpx.Client) -> None:
    colours = ["red", "green", "blue", "blue"] * 4
    response = invoke_json(client, b64(*colours), accept=f"{LINES};top-k=1")
    assert response.headers["transfer-encoding"] == "chunked"
    assert response.headers["content-type"] == LINES
    assert "content-length" not in response.headers
    assert [json.loads(line)[0]["label"] for line in response.text.splitlines()] == [*colours]


@pytest.mark.parametrize(
    ("request_", "media"),
    [
        (batch("red"), LINES),
        (batch("red", "blue", accept="application/json"), "application/json"),
        (batch("red", "blue").replace(b"HTTP/1.1", b"HTTP/1.0"), LINES),
    ],
    ids=["one image", "json", "HTTP/1.0"],
)
def test_other_answers_have_a_length(client: httpx.Client, request_: bytes, media: str) -> None:
    with connected(client) as connection:
        connection.sendall(request_)
        answer = read_answer(connection)
    assert (answer.status, answer.headers["content-type"]) == (200, media)
    assert "transfer-encoding" not in answer.headers


def test_a_bad_image_before_the_first_line_is_refused(client: httpx.Client) -> None:
    response = invoke_json(client, with_bad_image(2), accept=LINES)
    assert (response.status_code, response.json()["error"][:11]) == (400, "Instance 2:")


def test_a_bad_image_after_the_first_line_breaks_the_answer_off(client: httpx.Client) -> None:
    headers = {"content-type": "application/json", "accept": LINES}
    with client.stream("POST", "/invocations", json=with_bad_image(9), headers=headers) as response:
        assert response.status_code == 200
        lines = response.iter_lines()
        assert [len(json.loads(next(lines))) for _ in range(8)] == [3] * 8
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            next(lines)
    assert best(invoke(client, GOOD, "image/png")) == ["red"]


def test_a_client_that_reads_no_lines_holds_no_place(wide: httpx.Client) -> None:
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(TIMEOUT_S)
        slow.connect((wide.base_url.host, wide.base_url.port))
        slow.sendall(batch(*["red"] * 64))
        assert slow.recv(1, socket.MSG_PEEK) == b"H"
        wait_until(lambda: invoke(wide, GOOD, "image/png").status_code == 200)
        with slow.makefile("rb") as stream:
            while stream.readline() != b"\r\n":
                pass
            lines = b"".join(iter(lambda: read_chunk(stream), b"")).splitlines()
        assert [len(json.loads(line)) for line in lines] == [MANY_CLASSES] * 64
        slow.sendall(PING)
        assert read_answer(slow).status == 200


def read_chunk(stream: Any) -> bytes:
    """The next chunk of a body; nothing for the last."""
    size = int(stream.readline(), 16)
    chunk: bytes = stream.read(size)
    assert stream.readline() == b"\r\n"
    return chunk


def test_a_client_that_goes_away_frees_its_place(wide: httpx.Client) -> None:
    with connected(wide) as gone:
        gone.sendall(batch(*["red"] * 64))
        assert gone.recv(1) == b"H"
    wait_until(lambda: invoke(wide, GOOD, "image/png").status_code == 200)


def test_a_stream_has_a_place_except_while_it_sends() -> None:
    queue, seen = Queue(1), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start"})
        seen.append(("works", queue.is_full()))
        await send({"type": "http.response.body", "more_body": True})
        seen.append(("works", queue.is_full()))

    async def send(event: Any) -> None:
        seen.append(("sends", queue.is_full()))

    asyncio.run(queue.hold(app)({}, None, send))  # type: ignore[arg-type] # the application reads neither
    assert seen == [("sends", False), ("works", True)] * 2
    assert not queue.is_full()


class CountingModel(Model):
    """A model that counts the images that it has seen."""

    def __init__(self) -> None:
        super().__init__(ModelCard(CLASSES, "", PREPROCESSING, {}, {}, "", {}, {}), Engine(SAFE_CHOICE, _sums))
        self.images = 0

    def to_input(self, item: Item) -> npt.NDArray[np.float32]:
        self.images += 1
        return super().to_input(item)


def _sums(batch: npt.NDArray[np.float32]) -> Logits:
    return batch.sum(axis=(2, 3))


@pytest.mark.parametrize("threads", [1, 3])
def test_images_whose_lines_nobody_takes_are_not_predicted(threads: int) -> None:
    model, workers = CountingModel(), Workers(threads)

    async def take_one() -> None:
        stream = workers.stream(model, [encode("red")] * 64)
        assert (await anext(stream)).shape == (CHUNK, 3)
        await stream.aclose()

    asyncio.run(take_one())
    workers.close()  # it waits for the threads
    assert model.images <= CHUNK * (threads + 1)


@pytest.mark.parametrize(
    ("gone", "failure", "sent"),
    [
        (False, None, [b"1\n", b"2\n", b"3\n", b""]),
        (False, Refused(400, "Bad."), [b"1\n", b"2\n", b"3\n"]),
        (True, None, [b"1\n"]),
    ],
    ids=["whole", "refused", "the client is gone"],
)
def test_what_is_sent(gone: bool, failure: Refused | None, sent: list[bytes]) -> None:
    ended, bodies = [], []

    async def rest() -> AsyncGenerator[str]:
        try:
            yield "2\n"
            yield "3\n"
            if failure:
                raise failure
        finally:
            ended.append(True)

    async def receive() -> Any:
        return {"type": "http.disconnect"} if gone else await asyncio.Event().wait()

    async def send(event: Any) -> None:
        if event["type"] == "http.response.body":
            bodies.append((event.get("body", b""), event.get("more_body", False)))

    asyncio.run(LinesResponse("1\n", rest(), LINES)({"type": "http"}, receive, send))
    assert bodies == [(body, body != b"") for body in sent]
    assert ended == [True]
