"""The Docker runtime where LocalStack is a container itself: files through its volume, sockets through its networks."""

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Network

import pytest
from docker.api import APIClient

from stagemaker.runtime.docker.engine import Engine
from tests.contract.docker_environment import client
from tests.contract.docker_image import docker_url
from tests.contract.docker_inside import run_inside

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
    found = run_inside(engine, docker_image, INSIDE)
    assert found.said.startswith("["), found.said
    files, whole, output, several, lines, answers, refusal = json.loads(found.said)
    assert (files, whole, output) == (0, 0, "made")
    assert several == ["['input', 'model'] one file"]  # two folders of one volume
    assert lines[:3] == ["given code", "['data']", "ready"]
    assert answers == ["given", "given"]
    assert refusal.endswith("containers: mount a volume there or above it.")
    assert found.containers == found.networks == []


CREDENTIALS = """
import json, os, socket, sys, threading, time, urllib.request
from pathlib import Path
from stagemaker.core.credentials import Credentials
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec, Mount
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import DockerSettings

network, image = sys.argv[1:]
supervisor = Supervisor()
settings = DockerSettings(network, "auto", "none", "", "", 5000)
runtime = DockerRuntime(settings, Path("/var/lib/stagemaker/data"), None, supervisor)
supervisor.own(runtime.close)
issued = 0

def issue():
    global issued
    issued += 1
    return Credentials("arn:aws:iam::1:role/r", f"KEY{issued}", "secret", "token", time.time() + 3600)

STATIC = {"AWS_ACCESS_KEY_ID": "STATIC", "AWS_SECRET_ACCESS_KEY": "x", "AWS_SESSION_TOKEN": "x"}

def start(source, on_line, environment={}, **others):
    mounts = (Mount("/packages", Path("/packages"), writable=False),)
    environment = {**STATIC, "SOURCE": source, "PYTHONPATH": "/packages", **environment}
    others = {"credentials": issue, **others}
    return runtime.start(ContainerSpec("c", image, ("train",), None, environment, mounts=mounts, **others), on_line)

def run(source, **others):
    lines = []
    assert start(source, lines.append, **others).wait(60) is not None
    return lines

BOTO3 = '''
import boto3
found = boto3.Session().get_credentials()
told = [found.method, found.access_key, found.token] if found else ["none"]
print(*told, *sorted(name for name in os.environ if name.startswith("AWS_")))
'''
ASK = '''
import urllib.request
for path in (os.environ["PATH_OF_ANOTHER"], os.environ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"]):
    try: print(urllib.request.urlopen("http://169.254.170.2" + path, timeout=5).status)
    except OSError as error: print(error)
'''
CONNECT = '''
import socket
for address in os.environ["ADDRESSES"].split():
    host, port = address.split(":")
    for source in "", socket.gethostbyname(socket.gethostname()):
        try:
            with socket.create_connection((host, int(port)), 3, (source, 0)): print("reached")
        except OSError as error: print(type(error).__name__)
'''
told, heard = {}, threading.Event()
told["boto3"], told["again"] = run(BOTO3), run(BOTO3)
told["mine"] = run(BOTO3, environment={"AWS_ACCESS_KEY_ID": "MINE"}, credentials=None)
path = []

def hear(line):
    path.append(line)
    heard.set()

other = start("print(os.environ['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI']); time.sleep(60)", hear)
assert heard.wait(60)
told["neighbour"] = run(ASK, environment={"PATH_OF_ANOTHER": path[0]})
other.stop(0)
told["after"] = run(ASK, environment={"PATH_OF_ANOTHER": path[0]})

with socket.create_server((runtime.host(), 0)) as here:
    port = here.getsockname()[1]
    told["named"] = run(CONNECT, environment={"ADDRESSES": f"{runtime.host_name()}:{port} gateway:{port}"})
    connections = [here.accept() for _ in range(4)]
    told["peers"] = len({address[0] for _, address in connections})
    [connection.close() for connection, _ in connections]

# An isolated server tells which addresses of its network answer at our port, which listens on all of ours.
SCAN = '''
import concurrent.futures, http.server as h, ipaddress, socket
def answers(address):
    try:
        with socket.create_connection((address, int(os.environ["PORT"])), 2): return True
    except OSError: return False
class Handler(h.BaseHTTPRequestHandler):
    def do_GET(self):
        own = socket.gethostbyname(socket.gethostname())
        network = [str(host) for host in ipaddress.ip_network(own + "/26", strict=False).hosts()]
        with concurrent.futures.ThreadPoolExecutor(64) as pool: found = sum(pool.map(answers, network))
        body = f"{len(network)} {found}".encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
h.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
'''
def call(server):
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen("http://%s:%s/" % server.address, timeout=30) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

with socket.create_server(("", 0)) as here:
    server = start(SCAN, hear, serves=True, isolated=True, environment={"PORT": str(here.getsockname()[1])})
    told["called"] = [call(server) for _ in range(2)]
    here.settimeout(0)
    try: told["reached us"] = here.accept()[1]
    except BlockingIOError: told["reached us"] = None
server.stop(0)
told["isolated"] = run(BOTO3, isolated=True)
NAMED = "gateway:80 stagemaker:80 169.254.170.2:80 192.0.2.1:80"
told["machine"] = run(CONNECT, environment={"ADDRESSES": os.environ["MACHINE"]})
told["gone"] = run(CONNECT, isolated=True, environment={"ADDRESSES": NAMED})
told["threads"] = [name for name in supervisor.threads() if name.startswith("credentials")]
supervisor.close()
told["left"], told["issued"] = supervisor.threads(), issued
print(json.dumps(told))
"""
URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"


def test_credentials_come_from_the_stage_and_only_to_their_own_job(engine: APIClient, docker_image: str) -> None:
    subnet = IPv4Network(f"169.254.{20 + secrets.randbelow(140)}.0/24")
    network = f"stagemaker-test-link-local-{subnet[0]}"
    Engine(docker_url()).create_network(network, {"com.stagemaker": "1"}, subnet)  # gives the machine its first address
    try:
        with socket.create_server((str(subnet[1]), 0)) as server:
            machine = "{}:{}".format(*server.getsockname())
            found = run_inside(engine, docker_image, CREDENTIALS, f"MACHINE={machine}")
    finally:
        engine.remove_network(network)
    assert found.said.startswith("{"), found.said
    told = json.loads(found.said)
    assert told["boto3"] == [f"container-role KEY1 token {URI}"]
    assert told["again"] == [f"container-role KEY2 token {URI}"]
    assert told["mine"] == ["env MINE x AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN"]
    assert told["neighbour"] == told["after"] == ["HTTP Error 400: Bad Request", "200"]
    assert told["named"] == ["reached"] * 4
    assert told["machine"] == ["ConnectionRefusedError"] * 2  # a link-local address of the engine's machine
    assert told["peers"] == 1  # the container's own address, by which the Runtime API of a function knows it
    assert told["called"] == ["62 0", "62 0"]
    assert told["reached us"] is None
    assert told["isolated"] == ["none"]
    assert told["gone"][:4] == ["gaierror"] * 4
    assert set(told["gone"][4:]) <= {"OSError", "TimeoutError"}
    assert told["threads"]  # of the networks that are kept
    assert told["left"] == []
    assert told["issued"] == 4  # one for each container that asked
    assert found.containers == found.networks == []


# Two servers of one instance answer whose credentials they have, and whether they reach each other.
INSTANCE = """
import json, sys, time, urllib.request
from pathlib import Path
from stagemaker.core.credentials import Credentials
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec, Mount
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import DockerSettings

network, image = sys.argv[1:]
supervisor = Supervisor()
settings = DockerSettings(network, "auto", "none", "", "", 5000)
runtime = DockerRuntime(settings, Path("/var/lib/stagemaker/data"), None, supervisor)
supervisor.own(runtime.close)
SERVER = '''
import boto3, http.server as h, os, socket
class Handler(h.BaseHTTPRequestHandler):
    def do_GET(self):
        with socket.create_connection(("127.0.0.1", 16161 - port), 5): pass
        found = boto3.Session().get_credentials()
        body = (found.access_key if found else "none").encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
h.ThreadingHTTPServer(("", port), Handler).serve_forever()
'''
def start(name, isolated):
    mounts = (Mount("/packages", Path("/packages"), writable=False),)
    issue = lambda: Credentials("arn:aws:iam::1:role/r", name, "secret", "token", time.time() + 3600)
    environment = {"SOURCE": SERVER, "PYTHONPATH": "/packages"}
    return runtime.start(ContainerSpec(
        name, image, ("serve",), None, environment, serves=True, isolated=isolated, instance="i-1", mounts=mounts,
        credentials=issue), lambda line: None)

def call(server):
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen("http://%s:%s/" % server.address, timeout=30) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)

told = []
for isolated in (False, True):
    servers = [start(name, isolated) for name in ("one", "two")]
    told.append([call(server) for server in servers])
    told.append(len({server.address[0] for server in servers}))
    for server in servers:
        server.stop(0)
supervisor.close()
print(json.dumps(told))
"""


def test_containers_of_one_instance_have_one_address_and_each_its_credentials(
    engine: APIClient, docker_image: str
) -> None:
    found = run_inside(engine, docker_image, INSTANCE)
    assert found.said.startswith("["), found.said
    called, addresses, called_isolated, relays = json.loads(found.said)
    assert (called, addresses) == (["one", "two"], 1)
    assert (called_isolated, relays) == (["none", "none"], 2)
    assert found.containers == found.networks == []
