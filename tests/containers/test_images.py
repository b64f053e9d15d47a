"""The images alone: `docker run` with a /opt/ml made by the test, and the content of each image."""

import json
import queue
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.paths import CHECKOUT
from ml.artifact import MODEL_FILES, read_card
from tests.containers.container_stack import docker
from tests.unit.containers.serve_process import encode
from tests.unit.ml.data import write_dataset

IMAGES = ("localstack", "lambda", "ec2-host", "serve", "trainer", "serve-gpu")
MEGABYTE = 1_000_000
START_S = 120.0


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    """Builds every image from this checkout. An unchanged image takes a second."""
    subprocess.run([CHECKOUT / "scripts" / "build"], check=True)


def image(name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("image", "inspect", f"stagemaker/{name}:latest"))
    return found[0]


@contextmanager
def container(*arguments: str) -> Iterator[str]:
    """Runs a container until the end of the block, and gives its name."""
    name = f"test-image-{uuid.uuid4().hex[:8]}"
    try:
        docker("run", "--detach", "--name", name, *arguments)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


def publish(name: str, port: int) -> str:
    """The URL of a published port of a container."""
    return f"http://{docker('port', name, f'{port}/tcp').splitlines()[0]}"


def wait_for_ping(client: httpx.Client, name: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert docker("inspect", "--format", "{{.State.Running}}", name) == "true", docker("logs", name)
        try:
            assert client.get("/ping").status_code == 200
            return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("no /ping in time")


def train(base: Path) -> "subprocess.CompletedProcess[str]":
    """Runs `docker run stagemaker/trainer train` on a folder. Afterwards every user may change its files."""
    base.chmod(0o755)
    command = ["docker", "run", "--rm", "--network", "none", "--volume", f"{base}:/opt/ml", "stagemaker/trainer"]
    try:
        return subprocess.run([*command, "train"], capture_output=True, text=True, check=False)
    finally:
        subprocess.run([*command, "chmod", "-R", "a+rwX", "/opt/ml"], check=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder that one epoch of training wrote, from the weights in the image."""
    base = tmp_path_factory.mktemp("ml")
    write_dataset(base / "input" / "data", each=4)
    (base / "input" / "config").mkdir()
    settings = {"epochs": "1", "image-size": "32", "batch-size": "4"}
    (base / "input" / "config" / "hyperparameters.json").write_text(json.dumps(settings))
    done = train(base)
    assert done.returncode == 0, done.stderr
    assert "epoch=1 train_loss=" in done.stdout
    return base / "model"


def test_the_trainer_writes_a_model(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == sorted(MODEL_FILES)
    assert read_card(trained).metrics["epochs"] == 1


def test_the_trainer_says_why_it_failed(tmp_path: Path) -> None:
    done = train(tmp_path)
    assert done.returncode == 1
    assert (tmp_path / "output" / "failure").read_text() in done.stderr


@pytest.mark.parametrize(("name", "log"), [("serve", "serving"), ("serve-gpu", "PyTorch runs on the C")])
def test_the_server_answers_and_ends_cleanly(trained: Path, name: str, log: str) -> None:
    options = ["--publish", "127.0.0.1::8080", "--read-only", "--tmpfs", "/tmp", "--volume"]
    with container(*options, f"{trained.parent}:/opt/ml:ro", f"stagemaker/{name}", "serve") as server:
        with httpx.Client(base_url=publish(server, 8080), timeout=30, trust_env=False) as client:
            wait_for_ping(client, server)
            answer = client.post("/invocations", content=encode("red"), headers={"content-type": "image/png"})
        assert (answer.status_code, len(answer.json()[0])) == (200, 3), answer.text
        assert docker("exec", server, "python", "-IS", "/opt/stagemaker/containers/serve/healthcheck.py") == ""
        docker("stop", "--time", "15", server)  # SageMaker waits 30 s
        assert docker("inspect", "--format", "{{.State.ExitCode}}", server) == "0"
        assert log in subprocess.run(["docker", "logs", server], capture_output=True, text=True, check=True).stderr


class RuntimeApi(BaseHTTPRequestHandler):
    """The part of Lambda's Runtime API that one invocation needs; awslambdaric 4.2.2 crashes without a trace id."""

    answers: "queue.Queue[tuple[str, Any]]"
    events: "queue.Queue[bytes]"

    def do_GET(self) -> None:
        event = self.events.get(timeout=START_S)
        self.send_response(200)
        for name, value in (
            ("Lambda-Runtime-Aws-Request-Id", "request-1"),
            ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 60_000)),
            ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:000000000000:function:f"),
            ("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(event))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answers.put((self.path.rpartition("/")[2], json.loads(body)))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


def test_the_function_answers_through_the_runtime_api() -> None:
    RuntimeApi.events, RuntimeApi.answers = queue.Queue(), queue.Queue()
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    with ThreadingHTTPServer((gateway, 0), RuntimeApi) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        options = ["--read-only", "--tmpfs", "/tmp", "--env", "AWS_DEFAULT_REGION=us-east-1", "--env"]
        api = f"AWS_LAMBDA_RUNTIME_API={gateway}:{server.server_address[1]}"
        try:
            with container(*options, api, "stagemaker/lambda"):
                RuntimeApi.events.put(b"{}")
                kind, answer = RuntimeApi.answers.get(timeout=START_S)
        finally:
            RuntimeApi.events.put(b"{}")
            server.shutdown()
    assert kind == "response", answer
    assert "exactly one of url, s3, instances" in json.dumps(answer)


@pytest.mark.parametrize("name", IMAGES)
def test_labels_and_tags_are_complete_and_the_environment_holds_no_secret(name: str) -> None:
    found = image(name)
    labels, revision = found["Config"]["Labels"], f"stagemaker/{name}:"
    assert labels["com.stagemaker"] == "1"
    for key in ("title", "description", "licenses", "version", "revision"):
        assert labels[f"org.opencontainers.image.{key}"]
    assert revision + labels["org.opencontainers.image.revision"] in found["RepoTags"]
    words = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", f"stagemaker/{name}:latest")
    for text in (words, *found["Config"]["Env"]):
        assert not any(secret in text.upper() for secret in ("SECRET", "PASSWORD", "TOKEN", "AWS_ACCESS_KEY"))


@pytest.mark.parametrize(("name", "most_mb"), [("serve", 550), ("lambda", 300), ("localstack", 750), ("ec2-host", 850)])
def test_the_size_is_bounded(name: str, most_mb: int) -> None:
    assert image(name)["Size"] < most_mb * MEGABYTE


def test_each_image_has_its_user() -> None:
    users = {name: user for name in IMAGES if (user := image(name)["Config"]["User"])}
    assert users == {"serve": "serve", "serve-gpu": "serve", "lambda": "function"}
    assert docker("run", "--rm", "stagemaker/serve", "id", "--user") == "10001"


def test_cpu_serving_has_no_torch_and_gpu_serving_shares_the_trainers() -> None:
    find = "import importlib.util as u; print(u.find_spec('torch') is not None)"
    assert docker("run", "--rm", "stagemaker/serve", "python", "-c", find) == "False"
    shared = len(json.loads(docker("image", "inspect", "python:3.13-slim"))[0]["RootFS"]["Layers"]) + 1
    trainer, serve = (image(name)["RootFS"]["Layers"][:shared] for name in ("trainer", "serve-gpu"))
    # They differ when the engine built the step twice, as after `docker build --no-cache`. Then empty the cache:
    # `docker buildx prune --all`.
    assert trainer == serve, "the layers of the base image, and the layer with torch"
    history = docker("history", "--human=false", "--format", "{{.Size}}", "stagemaker/serve-gpu:latest").split()
    sizes = [int(size) for size in history]  # the newest first
    assert sum(sizes[: sizes.index(max(sizes))]) < 150 * MEGABYTE, "the layers after the shared one"


def test_an_image_holds_no_bytecode_of_the_checkout_and_no_build_tool() -> None:
    for name in ("serve", "trainer", "serve-gpu", "localstack", "ec2-host"):
        assert docker("run", "--rm", f"stagemaker/{name}", "find", "/opt/stagemaker", "-name", "*.pyc") == ""
    for name in IMAGES:
        command = ("run", "--rm", "--entrypoint", "sh", f"stagemaker/{name}", "-c")
        assert docker(*command, "command -v uv || ls -A /tmp") == ""
