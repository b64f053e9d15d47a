"""The images of the function and of the server on arm64: `make test-arm64` builds them, and emulates the machine."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.containers.container_stack import docker
from tests.unit.containers.serve_process import CLASSES, encode, write_model

START_S = 300.0  # an emulated machine is slow
ARM64 = ("--platform", "linux/arm64")


def test_the_function_runs_on_arm64() -> None:
    call = "import platform, handler; print(platform.machine(), handler.lambda_handler({}, None))"
    options = [*ARM64, "--env", "AWS_DEFAULT_REGION=us-east-1", "--entrypoint", "python"]
    said = docker("run", "--rm", *options, "stagemaker/lambda:latest-arm64", "-c", call)
    assert said.startswith("aarch64 ")
    assert "exactly one of url, s3, instances" in said


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The name of a container that serves a small model."""
    write_model(tmp_path / "model")
    tmp_path.chmod(0o755)
    name = f"test-arm64-{uuid.uuid4().hex[:8]}"
    options = ["--publish", "127.0.0.1::8080", "--volume", f"{tmp_path}:/opt/ml:ro"]
    try:
        docker("run", "--detach", "--name", name, *ARM64, *options, "stagemaker/serve:latest-arm64", "serve")
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


def test_the_server_answers_on_arm64(server: str) -> None:
    address = docker("port", server, "8080/tcp").splitlines()[0]
    with httpx.Client(base_url=f"http://{address}", timeout=60, trust_env=False) as client:
        deadline = time.monotonic() + START_S
        while True:
            assert docker("inspect", "--format", "{{.State.Running}}", server) == "true", docker("logs", server)
            try:
                assert client.get("/ping").status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.5)
        answer = client.post("/invocations", content=encode("red"), headers={"content-type": "image/png"})
    assert answer.status_code == 200, answer.text
    logits = answer.json()[0]
    assert logits.index(max(logits)) == CLASSES.index("red")
    assert docker("exec", server, "python", "-c", "import platform; print(platform.machine())") == "aarch64"
