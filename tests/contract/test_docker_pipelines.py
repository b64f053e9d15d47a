"""Endpoints of several containers, as real containers that share the network of their instance."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagemaker.core.errors import ApiError
from tests.contract.docker_hosting import DockerHosting, docker_hosting
from tests.unit.plugin.fakes import ROLE, SCOPE
from tests.unit.plugin.hosting_environment import until

CALLERS = 8
# What a container answers: what it got, its NAME and the name of its network's first container; a body may steer it.
STEP = """
import http.server, socket
name = os.environ["NAME"]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self): self.answer("")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if body.startswith("die " + name): os._exit(7)
        if body.startswith("work"): time.sleep(0.02)
        said = f"{name}@{os.uname().nodename}"
        if body.startswith("ports"):
            said = os.environ["SAGEMAKER_BIND_TO_PORT"] + " " + os.environ["SAGEMAKER_SAFE_PORT_RANGE"]
        if body.startswith("neighbour"):
            with socket.create_connection(("127.0.0.1", 8080 if name == "two" else 8081), 5): said = "reached"
        self.answer(body + " " + said)
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
http.server.ThreadingHTTPServer(("", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""
NAMES = ("one", "two")


def containers() -> list[dict[str, Any]]:
    return [{"ContainerHostname": name, "Environment": {"SOURCE": STEP, "NAME": name}} for name in NAMES]


def deploy(hosting: DockerHosting, mode: str = "Serial", **variant: int) -> None:
    """An endpoint "end" of two containers, in service."""
    hosting.containers("model", *containers(), mode=mode, image=hosting.engine.image)
    hosting.config("config", variant)
    hosting.create()
    hosting.wait_for("InService")


@pytest.fixture
def hosting(docker_image: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[DockerHosting]:
    with docker_hosting(docker_image, tmp_path) as made:
        yield made
    caplog.get_records("call").clear()  # they hold errors, and so the sockets that could not connect
    gc.collect()


def test_a_request_goes_through_containers_that_share_their_instance_s_network(hosting: DockerHosting) -> None:
    deploy(hosting, InitialInstanceCount=2)
    for _ in range(4):
        body, one, two = hosting.container_of(b"hello").split()
        assert (body, one.split("@")[0], two.split("@")[0]) == ("hello", "one", "two")
        assert one.split("@")[1] == two.split("@")[1]
    assert len({hosting.container_of(b"hello") for _ in range(4)}) == 2
    assert hosting.container_of(b"ports") == "ports 8080 10000-10999 8081 11000-11999"
    assert hosting.container_of(b"neighbour") == "neighbour reached reached"
    assert len(hosting.engine.left()) == 4
    hosting.endpoints.delete_endpoint(SCOPE, {"EndpointName": "end"})
    hosting.wait_for("gone")
    assert hosting.engine.left() == []


def test_one_container_is_asked_directly(hosting: DockerHosting) -> None:
    deploy(hosting, mode="Direct")
    for name in NAMES:
        assert hosting.container_of(b"hello", TargetContainerHostname=name).startswith(f"hello {name}@")
    with pytest.raises(ApiError, match="it has one, two"):
        hosting.ask(TargetContainerHostname="three")


@pytest.mark.parametrize("dead", NAMES)
def test_an_instance_one_of_whose_containers_dies_is_replaced_and_no_other_request_is_lost(
    hosting: DockerHosting, dead: str
) -> None:
    deploy(hosting, InitialInstanceCount=2)
    with hosting.load(CALLERS, b"work") as load:
        load.wait_for_more(10 * CALLERS)
        with pytest.raises(ApiError) as killed:
            hosting.ask(f"die {dead}".encode())
        assert (killed.value.code, f"from {dead} with" in killed.value.message) == ("ModelError", True)
        until(lambda: hosting.current() == 1, "its death is seen")
        hosting.wait_for_line(f"its container {dead} ended with exit code 7; restart 1 of 3")
        load.wait_for_more(10 * CALLERS)
        hosting.clock.now += 1
        until(lambda: hosting.current() == 2, "its return")
        load.wait_for_more(10 * CALLERS)
    assert load.sent == len(load.answered) + len(load.failed)
    assert len(load.failed) <= CALLERS
    assert {error.code for error in load.failed} <= {"ModelError"}
    assert len(set(load.answered[-3 * CALLERS :])) == 2
    assert (hosting.status(), len(hosting.engine.left())) == ("InService", 4)


def test_an_isolated_pipeline_serves(hosting: DockerHosting) -> None:
    images = [{"Image": hosting.engine.image, **container} for container in containers()]
    model = {"ModelName": "model", "Containers": images, "ExecutionRoleArn": ROLE, "EnableNetworkIsolation": True}
    hosting.models.create_model(SCOPE, model)
    hosting.config("config")
    hosting.create()
    hosting.wait_for("InService")
    assert hosting.container_of(b"neighbour") == "neighbour reached reached"


def test_an_image_without_the_label_is_refused_beside_another(hosting: DockerHosting) -> None:
    images = [{"Image": image} for image in (hosting.engine.image, "python:3.13-slim")]
    sentence = "Your Ecr Image python:3.13-slim does not contain required"
    with pytest.raises(ApiError, match=sentence) as error:
        hosting.models.create_model(SCOPE, {"ModelName": "m", "Containers": images, "ExecutionRoleArn": ROLE})
    assert error.value.code == "ValidationException"
