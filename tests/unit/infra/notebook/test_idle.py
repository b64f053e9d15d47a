"""When a notebook instance stops itself: asked of a real server in Jupyter's place."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.notebook import idle

LONG_AGO = "2026-01-01T00:00:00.000000Z"
AT_S = 1_767_225_600.0
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/dogs-notebook"


def kernel(state: str = "idle", used: str = LONG_AGO) -> dict[str, Any]:
    """A kernel as Jupyter describes it."""
    return {"id": "1", "name": "python3", "execution_state": state, "last_activity": used, "connections": 1}


@pytest.mark.parametrize(
    ("kernels", "terminals", "expected"),
    [
        ([], [], 0.0),
        ([kernel()], [], AT_S),
        ([kernel(), kernel(used="2026-01-01T00:01:00.5Z")], [], AT_S + 60.5),
        ([kernel()], [{"name": "1", "last_activity": "2026-01-01T01:00:00.000000Z"}], AT_S + 3600),
        ([kernel(), kernel("busy")], [], 9e9),
        ([kernel("starting")], [], AT_S),
    ],
)
def test_the_last_use(kernels: list[dict[str, Any]], terminals: list[dict[str, Any]], expected: float) -> None:
    assert idle.last_use_s(kernels, terminals, 9e9) == expected


class Jupyter:
    """Answers /api/kernels with one of `answers` after the other, the last of which stays, and has no terminal."""

    def __init__(self, *answers: list[dict[str, Any]]) -> None:
        self.answers, self.asked = list(answers), 0


@contextmanager
def serving(jupyter: Jupyter) -> Iterator[str]:
    """The address of its interface."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            answer: list[dict[str, Any]] = []
            if self.path == "/api/kernels":
                jupyter.asked += 1
                answer = jupyter.answers[0]
                if len(jupyter.answers) > 1:
                    del jupyter.answers[0]
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FakeSageMaker:
    """Writes down what is stopped, and refuses as often as `refusals` says."""

    def __init__(self, refusals: int = 0) -> None:
        self.stopped: list[str] = []
        self.refusals = refusals

    def stop_notebook_instance(self, NotebookInstanceName: str) -> None:
        """One call."""
        if self.refusals:
            self.refusals -= 1
            raise ConnectionError("throttled")
        self.stopped.append(NotebookInstanceName)


@pytest.fixture
def sagemaker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSageMaker:
    """AWS in the region of the instance."""
    fake = FakeSageMaker()
    metadata = tmp_path / "resource-metadata.json"
    metadata.write_text(json.dumps({"ResourceArn": ARN, "ResourceName": "dogs-notebook"}))
    monkeypatch.setattr(idle, "METADATA", metadata)
    clients = {("sagemaker", "eu-west-1"): fake}
    monkeypatch.setattr(boto3, "client", lambda service, region_name: clients[service, region_name])
    return fake


def test_an_instance_that_computes_goes_on_and_one_without_use_stops(
    monkeypatch: pytest.MonkeyPatch, sagemaker: FakeSageMaker
) -> None:
    jupyter = Jupyter([kernel("busy")], [kernel("busy")], [kernel()])
    with serving(jupyter) as address:
        monkeypatch.setattr(idle, "JUPYTER", (address,))
        idle.watch(idle_s=0.0, poll_s=0.001)
    assert jupyter.asked >= 3
    assert sagemaker.stopped == ["dogs-notebook"]


def test_the_second_address_is_asked_where_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, sagemaker: FakeSageMaker
) -> None:
    with serving(Jupyter([])) as gone:
        pass
    with serving(Jupyter([kernel()])) as address:
        monkeypatch.setattr(idle, "JUPYTER", (gone, address))
        idle.watch(idle_s=0.0, poll_s=0.001)
    assert sagemaker.stopped == ["dogs-notebook"]


def test_a_refusal_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, sagemaker: FakeSageMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    sagemaker.refusals = 2
    with serving(Jupyter([])) as address:
        monkeypatch.setattr(idle, "JUPYTER", (address,))
        idle.watch(idle_s=0.0, poll_s=0.001)
    assert sagemaker.stopped == ["dogs-notebook"]
    assert capsys.readouterr().out == "ConnectionError throttled\n" * 2


def test_where_jupyter_does_not_answer_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, sagemaker: FakeSageMaker
) -> None:
    with serving(Jupyter([])) as gone:
        pass
    monkeypatch.setattr(idle, "JUPYTER", (gone,))
    with pytest.raises(OSError, match="refused"):
        idle.ask("kernels")
    assert sagemaker.stopped == []
