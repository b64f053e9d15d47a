"""What a container reaches: its own job, the stage and the internet; no neighbour, and no link-local address."""

import secrets
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import Exit
from stagemaker.runtime.docker.engine import Engine
from tests.contract.docker_environment import LONG_S, DockerEnvironment, client, run_container
from tests.contract.docker_image import docker_url

SERVER = """
import http.server as h
server = h.ThreadingHTTPServer(("", 8080), h.SimpleHTTPRequestHandler); print("ready"); server.serve_forever()
"""
REACHES = """
import socket
for address in os.environ["ADDRESSES"].split():
    host, port = address.split(":")
    for source in "", socket.gethostbyname(socket.gethostname()):
        try:
            with socket.create_connection((host, int(port)), 2, (source, 0)): print("reached")
        except OSError as error: print(type(error).__name__)
"""
ROUTES = """
for line in open("/proc/net/route").readlines()[1:]:
    print(*line.split()[:4], line.split()[7])
"""
NAMES = """
import socket
for name in os.environ["NAMES"].split():
    try: print(socket.gethostbyname(name))
    except OSError as error: print(type(error).__name__)
"""


@pytest.fixture
def environment(docker_image: str, tmp_path: Path) -> Iterator[DockerEnvironment]:
    made = DockerEnvironment(docker_image, tmp_path)
    yield made
    made.close()
    assert made.left() == []


@contextmanager
def listener(address: str) -> Iterator[str]:
    """Something of this machine that takes connections; its address and port."""
    with closing(socket.create_server((address, 0))) as server:

        def accept() -> None:
            while True:
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        accepting = threading.Thread(target=accept)
        accepting.start()
        yield "{}:{}".format(*server.getsockname())
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()


def test_jobs_do_not_reach_each_other(environment: DockerEnvironment) -> None:
    server = environment.start_ready(SERVER, serves=True, host="algo-1", group="a job")
    assert server.address
    address = f"{server.address[0]}:8080"
    for group in "", "another":
        environment.lines.clear()
        stranger = environment.start(REACHES, group=group, host="algo-1", environment={"ADDRESSES": address})
        assert stranger.wait(LONG_S) == Exit(0)
        assert environment.lines == ["TimeoutError", "TimeoutError"]
        environment.lines.clear()
        names = {"NAMES": f"{server.spec.name} nobody"}
        assert environment.start(NAMES, group=group, environment=names).wait(LONG_S) == Exit(0)
        assert environment.lines == ["gaierror", "gaierror"]
    environment.lines.clear()
    peer = environment.start(REACHES, group="a job", host="algo-2", environment={"ADDRESSES": address})
    assert peer.wait(LONG_S) == Exit(0)
    assert environment.lines[-2:] == ["reached", "reached"]


def test_the_machine_reaches_a_server_and_a_job_reaches_the_machine(environment: DockerEnvironment) -> None:
    server = environment.start_ready(SERVER, serves=True)
    assert server.address
    with urllib.request.urlopen("http://{}:{}/".format(*server.address), timeout=LONG_S) as answer:
        assert answer.status == 200
    with listener(environment.runtime.host()) as address:
        assert environment.runtime.host_name() == address.partition(":")[0]
        assert environment.start(REACHES, environment={"ADDRESSES": address}).wait(LONG_S) == Exit(0)
    assert environment.lines[-2:] == ["reached", "reached"]


def test_link_local_addresses_lie_on_the_job_s_own_network(environment: DockerEnvironment) -> None:
    assert environment.start(ROUTES).wait(LONG_S) == Exit(0)
    default, *links = sorted(environment.lines, key=lambda line: line.split()[1])
    assert default.startswith("eth0 00000000 ")
    assert "eth0 0000FEA9 00000000 0001 0000FFFF" in links  # 169.254.0.0/16, without a gateway
    environment.lines.clear()
    addresses = {"ADDRESSES": "169.254.169.254:80 169.254.170.2:80"}
    assert environment.start(REACHES, environment=addresses).wait(LONG_S) == Exit(0)
    # Nobody listens at the first, at once; and nobody has the second, since this stage is in no container.
    assert environment.lines[:2] == ["ConnectionRefusedError"] * 2
    assert all(line in ("TimeoutError", "OSError") for line in environment.lines[2:])


def test_the_machine_s_own_link_local_addresses_are_not_reached(docker_image: str, tmp_path: Path) -> None:
    engine, subnet = Engine(docker_url()), IPv4Network(f"169.254.{20 + secrets.randbelow(140)}.0/24")
    name = f"stagemaker-test-link-local-{subnet[0]}"
    engine.create_network(name, {"com.stagemaker": "1"}, subnet)  # which gives the machine its first address
    environment = DockerEnvironment(docker_image, tmp_path)
    try:
        with listener(str(subnet[1])) as address:
            assert environment.start(REACHES, environment={"ADDRESSES": address}).wait(LONG_S) == Exit(0)
        assert environment.lines == ["ConnectionRefusedError"] * 2
    finally:
        environment.close()
        engine.remove_network(name, disconnect=True)


def test_an_isolated_group_reaches_itself_and_nothing_else(environment: DockerEnvironment) -> None:
    server = environment.start_ready(SERVER, serves=True, group="alone", host="algo-1", isolated=True)
    assert server.address
    with urllib.request.urlopen("http://{}:{}/".format(*server.address), timeout=LONG_S) as answer:
        assert answer.status == 200
    with listener(environment.runtime.host()) as machine:
        addresses = {"ADDRESSES": f"{server.address[0]}:8080 {machine} 192.0.2.1:80"}
        peer = environment.start(REACHES, group="alone", host="algo-2", isolated=True, environment=addresses)
        assert peer.wait(LONG_S) == Exit(0)
    assert [line for line in environment.lines if "HTTP" not in line] == ["ready", *["reached"] * 2, *["OSError"] * 4]


def test_an_isolated_job_has_no_credentials(environment: DockerEnvironment) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "role", "AWS_SECRET_ACCESS_KEY": "role", "AWS_SESSION_TOKEN": "role"}
    source = "print(*[name for name in os.environ if name.startswith('AWS_')])"

    def issue() -> None:
        raise AssertionError("nobody asks")

    assert environment.start(source, environment=keys, credentials=issue).wait(LONG_S) == Exit(0)
    assert environment.start(source, environment=keys, credentials=issue, isolated=True).wait(LONG_S) == Exit(0)
    assert environment.lines == [" ".join(keys), ""]


def test_forty_networks_at_once_and_none_afterwards(environment: DockerEnvironment) -> None:
    networks = environment.runtime._networks
    with ThreadPoolExecutor(4) as pool:
        seats = list(pool.map(lambda _: networks.join(""), range(40)))
    subnets = [seat.bridge.subnet for seat in seats]
    assert not any(one.overlaps(two) for one in subnets for two in subnets if one is not two)
    assert len(environment.left()) == 40
    last = environment.start("print('runs')")
    assert last.wait(LONG_S) == Exit(0)
    for seat in seats:
        networks.leave(seat)
    assert environment.left() == []
    assert 1 <= len(environment.runtime.spare_networks()) <= 8


def test_a_network_is_used_again_unless_somebody_removed_it(environment: DockerEnvironment) -> None:
    assert environment.start("").wait(LONG_S) == Exit(0)
    (network,) = environment.runtime.spare_networks()
    assert environment.start("").wait(LONG_S) == Exit(0)
    assert environment.runtime.spare_networks() == [network]
    with closing(client()) as engine:
        engine.remove_network(network)
    assert environment.start("").wait(LONG_S) == Exit(0)
    assert network not in environment.runtime.spare_networks()


def test_a_network_on_which_somebody_is_left_is_not_used_again(environment: DockerEnvironment) -> None:
    assert environment.start("").wait(LONG_S) == Exit(0)
    (network,) = environment.runtime.spare_networks()
    with closing(client()) as engine:
        left = run_container(
            engine,
            environment.image,
            ["bare"],
            Env=["SOURCE=time.sleep(60)"],
            HostConfig={"NetworkMode": network},
        )
        try:
            assert environment.start("").wait(LONG_S) == Exit(0)
            assert network not in environment.runtime.spare_networks()
        finally:
            engine.remove_container(left, force=True)


def test_a_full_pool_is_said_so(docker_image: str, tmp_path: Path) -> None:
    pool = IPv4Network(f"10.214.{secrets.randbelow(256)}.0/24")
    environment = DockerEnvironment(docker_image, tmp_path, pool)
    try:
        running = [environment.start_ready("print('ready'); time.sleep(60)") for _ in range(4)]
        with pytest.raises(ApiError, match=f"all of {pool} is in use. Stagemaker: end jobs") as refusal:
            environment.start("")
        assert refusal.value.code == "ResourceLimitExceeded"
        running[0].stop(0)
        assert environment.start("").wait(LONG_S) == Exit(0)
    finally:
        environment.close()
    assert environment.left() == []


def test_two_stacks_share_a_pool(environment: DockerEnvironment, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = DockerEnvironment(environment.image, tmp_path_factory.mktemp("other"))
    try:
        with ThreadPoolExecutor(8) as pool:
            both = [environment, other] * 4
            ends = list(pool.map(lambda stack: stack.start("").wait(LONG_S), both))
        assert ends == [Exit(0)] * 8
    finally:
        other.close()
    assert other.left() == []
