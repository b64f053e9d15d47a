"""Runs the serving container's program as a process with a tiny real model, and makes requests for it."""

import base64
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from benchmarks.ports import free_port
from ml.artifact import CARD_FILE, ONNX_FILE, ModelCard
from ml.preprocess import Preprocessing
from ml.resize import FIXED_POINT

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".stagemaker" / "env" / "serve" / "bin" / "python"
TIMEOUT_S = 120.0  # for whatever a test waits: a busy machine may stop any thread for many seconds
CLASSES = ("red", "green", "blue")
PREPROCESSING = Preprocessing(16, 18, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), FIXED_POINT)
BODY_LIMIT = 6_291_456


def write_model(
    folder: Path, classes: Sequence[str] = CLASSES, *, outputs: int = len(CLASSES), scale: int = 10
) -> None:
    """Writes an artifact whose first three logits are `scale` times the mean of each colour, and the others 0."""
    weights = numpy_helper.from_array(np.eye(3, outputs, dtype=np.float32) * scale, "weights")
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 16, 16])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", outputs])
    graph = helper.make_graph(nodes, "tiny", [images], [logits], [weights])
    folder.mkdir(parents=True)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), folder / ONNX_FILE)
    card = ModelCard(tuple(classes), "tiny", PREPROCESSING, {}, {}, "", {}, {})
    (folder / CARD_FILE).write_text(card.to_json())


def wait_until(condition: Callable[[], bool]) -> None:
    """Returns when the condition holds. Raises AssertionError after TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(
    base: Path, port: int, limits: Mapping[str, float] | None = None, /, **environment: str
) -> subprocess.Popen[str]:
    """The program of the container, or, when the test has limits of its own, the same with these."""
    clean = {"PATH": os.defpath, "SAGEMAKER_BASE_DIR": str(base), "STAGEMAKER_BIND_HOST": "127.0.0.1"}
    clean["STAGEMAKER_SERVE_ENGINE"] = "onnx"  # no server compares engines while others are tested
    program: list[str | Path] = [ROOT / "containers" / "serve" / "serve"]
    if limits is not None:
        program = [ROOT / "tests" / "unit" / "containers" / "serve_with_limits.py", json.dumps(limits)]
    return subprocess.Popen(
        [PYTHON, *program],
        env=clean | {"SAGEMAKER_BIND_TO_PORT": str(port)} | environment,
        cwd=base,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def serving(
    base: Path, limits: Mapping[str, float] | None = None, /, **environment: str
) -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    """Runs a server until the end of the block. Gives a client for it after /ping has answered."""
    port = free_port()
    with (
        start(base, port, limits, **environment) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S, trust_env=False) as client,
    ):
        try:
            wait_for_ping(client, process)
            yield client, process
        finally:
            process.kill()


def wait_for_ping(client: httpx.Client, process: subprocess.Popen[str]) -> None:
    def answers() -> bool:
        assert process.poll() is None, process.stdout and process.stdout.read()
        try:
            return client.get("/ping").status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers)


def encode(colour: str, form: str = "PNG", size: tuple[int, int] = (40, 30)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, form)
    return stream.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def invoke(client: httpx.Client, body: bytes, media: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/invocations", content=body, headers={"content-type": media} | named)


def invoke_json(client: httpx.Client, value: Any, **headers: str) -> httpx.Response:
    return invoke(client, json.dumps(value).encode(), "application/json", **headers)


def best(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [CLASSES[int(np.argmax(row))] for row in response.json()]


def b64(*colours: str) -> dict[str, Any]:
    return {"instances": [{"b64": base64.b64encode(encode(colour)).decode()} for colour in colours]}


GOOD = encode("red")
