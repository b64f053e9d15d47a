"""The Docker runtime where LocalStack is a container itself: files through its volume, sockets through its networks."""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest
from docker.api import APIClient

from tests.contract.docker_environment import client, run_container
from tests.contract.docker_image import docker_url

PACKAGES = Path(docker.__file__).parents[1]
PLUGIN = Path(__file__).resolve().parents[2] / "plugin"
INSIDE = """
import json, os, socket, sys, threading, urllib.request
from pathlib import Path
from stagemaker.core.errors import ApiError
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import BASE, ContainerSpec, Mount, mounts_below_base
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import DockerSettings

network, image = sys.argv[1:]
state, lines, ready = Path("/var/lib/stagemaker"), [], threading.Event()
runtime = DockerRuntime(DockerSettings(network, "auto", "none", "", "", 5000), state / "data", None, Supervisor())
base, code = state / "data" / "job", state / "data" / "code"
for folder in base, code:
    folder.mkdir(parents=True)
(base / "input").write_text("given")
(code / "input").write_text("code")

def hear(line):
    lines.append(line)
    ready.set()

def start(source, base=base, mounts=(), **others):
    ready.clear()
    mounts = (Mount(BASE, base), *mounts)
    spec = ContainerSpec("inside", image, ("train",), base, {"SOURCE": source}, mounts=mounts, **others)
    return runtime.start(spec, hear)

FILES = '''
print(pathlib.Path("input").read_text(), pathlib.Path("/var/task/input").read_text())
pathlib.Path("output").write_text("made")
'''
files = start(FILES, mounts=(Mount("/var/task", code, writable=False),)).wait(60).code
whole = start("print(sorted(os.listdir('/opt/ml')))", state).wait(60).code
output = (base / "output").read_text()
parts = state / "data" / "parts"
for folder in "input", "model":
    (parts / folder).mkdir(parents=True)
(parts / "input" / "a").write_text("one file")
os.link(parts / "input" / "a", parts / "model" / "b")
PARTS = "print(sorted(os.listdir('/opt/ml')), pathlib.Path('/opt/ml/model/b').read_text())"
mounts, several = mounts_below_base(parts, ("input", "model")), []
spec = ContainerSpec("parts", image, ("train",), None, {"SOURCE": PARTS}, mounts=mounts)
runtime.start(spec, several.append).wait(60)
SERVER = '''
import http.server as h
server = h.ThreadingHTTPServer(("", 8080), h.SimpleHTTPRequestHandler); print("ready"); server.serve_forever()
'''
answers = []
for group in "", "g":
    server = start(SERVER, serves=True, group=group, host="algo-1")
    ready.wait(60)
    answers.append(urllib.request.urlopen("http://%s:%s/input" % server.address, timeout=30).read().decode())
    server.stop(0)
here = socket.create_server(("", 9000))
start("import socket; socket.create_connection(('gateway', 9000), timeout=20)", group="g").wait(60)
here.settimeout(20)
here.accept()[0].close()
try:
    start("", Path("/tmp"))
except ApiError as error:
    refusal = error.message
runtime.close()
print(json.dumps([files, whole, output, several, lines, answers, refusal]))
"""


@pytest.fixture
def engine(docker_image: str) -> Iterator[APIClient]:
    with closing(client()) as made:
        yield made


def test_a_runtime_in_a_container(engine: APIClient, docker_image: str) -> None:
    name, labels = f"stagemaker-test-{uuid.uuid4().hex[:8]}", {"com.stagemaker": "1"}
    engine.create_network(name, labels=labels)
    engine.create_volume(name, labels=labels)
    binds = [f"{PACKAGES}:/packages:ro", f"{PLUGIN}:/plugin:ro", f"{name}:/var/lib/stagemaker"]
    binds.append(f"{docker_url().removeprefix('unix://')}:/var/run/docker.sock")
    inside = run_container(
        engine,
        docker_image,
        ["python", "-c", INSIDE, name, docker_image],
        Hostname="localstack",
        Env=["PYTHONPATH=/packages:/plugin", "PYTHONDONTWRITEBYTECODE=1"],
        HostConfig={"NetworkMode": name, "Binds": binds},
        NetworkingConfig={"EndpointsConfig": {name: {"Aliases": ["gateway"]}}},
    )
    try:
        engine.wait(inside, timeout=120)
        said = engine.logs(inside).decode()
        others = engine.containers(all=True, filters={"label": f"com.stagemaker.network={name}"})
        networks = engine.networks(filters={"label": f"com.stagemaker.network={name}"})
    finally:
        engine.remove_container(inside, v=True, force=True)
        engine.remove_volume(name)
        engine.remove_network(name)
    assert said.startswith("["), said
    files, whole, output, several, lines, answers, refusal = json.loads(said)
    assert (files, whole, output) == (0, 0, "made")
    assert several == ["['input', 'model'] one file"]  # two folders of one volume
    assert lines[:3] == ["given code", "['data']", "ready"]
    assert answers == ["given", "given"]
    assert refusal.endswith("containers: mount a volume there or above it.")
    assert others == networks == []
