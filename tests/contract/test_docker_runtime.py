"""What only containers have: images that do not run, memory that ends, names, an engine that goes away."""

import gc
import os
import resource
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.runtime.contract import BASE, Exit, HardwareRefused, ImageRefused, Mount
from stagemaker.runtime.docker.container import ENGINE_STOPPED
from tests.contract.docker_environment import LONG_S, DockerEnvironment, Proxy, client, run_container, unreachable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def environment(docker_image: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[DockerEnvironment]:
    made = DockerEnvironment(docker_image, tmp_path)
    yield made
    made.close()
    assert made.left() == []
    caplog.get_records("call").clear()  # they hold errors, and so the sockets that could not connect
    gc.collect()


@pytest.mark.parametrize("program", ["missing", "text", "/opt"])
def test_a_program_that_cannot_run_is_refused_and_leaves_nothing(environment: DockerEnvironment, program: str) -> None:
    with pytest.raises(ImageRefused, match=f"cannot run '{program}' .*: put a program of that name on its PATH"):
        environment.start("", program)
    assert environment.left() == []


def test_a_program_for_another_machine_says_so(environment: DockerEnvironment) -> None:
    end = environment.start("", "foreign").wait(LONG_S)
    assert end is not None
    assert end.code != 0
    assert any("exec format error" in line for line in environment.lines)


def test_a_program_that_ends_at_once_or_lacks_a_library(environment: DockerEnvironment) -> None:
    assert environment.start("sys.exit(7)", "bare").wait(LONG_S) == Exit(7)
    assert environment.left() == []
    assert environment.start("import nothing_of_this_name", "bare").wait(LONG_S) == Exit(1)
    assert environment.lines[-1] == "ModuleNotFoundError: No module named 'nothing_of_this_name'"


def test_pid_1_without_a_handler_does_not_notice_sigterm(environment: DockerEnvironment) -> None:
    container = environment.start_ready("print('ready'); time.sleep(60)", "bare")
    started = time.monotonic()
    assert container.stop(0.5) == Exit(137)
    assert time.monotonic() - started >= 0.5
    assert environment.left() == []


def test_pid_1_with_a_handler_is_stopped_by_it(environment: DockerEnvironment) -> None:
    source = "signal.signal(15, lambda *_: sys.exit(9)); print('ready'); time.sleep(60)"
    assert environment.start_ready(source, "bare").stop(LONG_S) == Exit(9)


def test_200_mb_of_output_lose_no_line_and_take_no_memory(environment: DockerEnvironment) -> None:
    count = 0

    def hear(line: str) -> None:
        nonlocal count
        assert len(line) == 99
        count += 1

    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source = "for _ in range(2000): sys.stdout.write(('x' * 99 + '\\n') * 1000)"
    assert environment.runtime.start(environment.spec(source, "bare"), hear).wait(120) == Exit(0)
    assert count == 2_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 32 * 1024


def test_a_slow_reader_makes_the_program_wait(environment: DockerEnvironment) -> None:
    ended = environment.base / "ended"
    early = []

    def slow(line: str) -> None:
        environment.hear(line)
        if len(environment.lines) == 10:
            time.sleep(1)  # many times what the program needs to write the rest
            early.append(ended.exists())

    source = "[print('x' * 60_000) for _ in range(300)]; pathlib.Path('ended').touch()"
    assert environment.runtime.start(environment.spec(source, "bare"), slow).wait(LONG_S) == Exit(0)
    assert (early, len(environment.lines), ended.exists()) == ([False], 300, True)


def test_out_of_memory_is_the_reason(environment: DockerEnvironment) -> None:
    end = environment.start("x = b'x' * 10**9", memory_mb=64).wait(LONG_S)
    assert end == Exit(137, "It ran out of memory: its limit is 64 MiB", out_of_memory=True)


def test_the_instance_type_limits_where_that_is_asked(environment: DockerEnvironment) -> None:
    source = """
for name in ("memory/memory.limit_in_bytes", "memory.max"):
    if (limit := pathlib.Path("/sys/fs/cgroup", name)).exists(): print(limit.read_text().strip())
"""
    environment.runtime = environment.new_runtime(limits="instance")
    assert environment.start(source, instance_type="ml.t3.medium").wait(LONG_S) == Exit(0)
    assert environment.lines == [str(4 * 2**30)]


def test_the_environment_is_the_spec_s_and_the_image_s(
    environment: DockerEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "LocalStack's own")
    source = "print(*sorted(os.environ))"
    environment.start(source, "bare", environment={"HIS": "1"}, serves=True).wait(LONG_S)
    ours = set(environment.lines[0].split()) - {"HOME", "HOSTNAME", "LANG", "PATH", "PYTHONUNBUFFERED", "SSL_CERT_FILE"}
    assert {name for name in ours if not name.startswith(("PIP_", "GPG_", "PYTHON_", "REQUESTS_"))} == {
        "HIS", "SAGEMAKER_BIND_TO_PORT", "SOURCE",
    }  # fmt: skip


def test_an_entry_point_replaces_the_image_s(environment: DockerEnvironment) -> None:
    container = environment.start("", "print('mine')", entrypoint=("python", "-c"), working_directory="/tmp")
    assert container.wait(LONG_S) == Exit(0)
    assert environment.lines == ["mine"]


def test_folders_are_read_only_and_beside_the_base(environment: DockerEnvironment) -> None:
    code = environment.folder / "code"
    code.mkdir()
    (code / "here").write_text("code")
    source = """
print(pathlib.Path("/var/task/here").read_text())
try: pathlib.Path("/var/task/new").touch()
except OSError as error: print(error.strerror)
"""
    mounts = (Mount(BASE, environment.base), Mount("/var/task", code, writable=False))
    assert environment.start(source, mounts=mounts).wait(LONG_S) == Exit(0)
    assert environment.lines == ["code", "Read-only file system"]
    assert environment.start("print(os.listdir('/opt/ml'))", mounts=()).wait(LONG_S) == Exit(0)
    assert environment.lines[-1] == "[]"


def test_a_port_that_nobody_listens_on(environment: DockerEnvironment) -> None:
    container = environment.start_ready("print('ready'); time.sleep(60)", serves=True)
    assert container.address
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen("http://{}:{}/ping".format(*container.address), timeout=LONG_S)
    assert container.poll() is None


SERVER = """
import socket
server = socket.create_server(("", 7000)); print("ready")
peer, address = server.accept(); print("peer", socket.gethostbyaddr(address[0])[0].split(".")[0]); peer.close()
"""
CLIENT = """
import socket
own = socket.gethostbyname(socket.gethostname())
peer = socket.create_connection(("algo-1", 7000), timeout=20)
print("own", peer.getsockname()[0] == own, socket.gethostname(), [name for _, name in socket.if_nameindex()])
"""
STRANGER = """
import socket
try: print(socket.gethostbyname("algo-1"))
except OSError: print("nobody")
"""


def test_a_group_finds_each_other_by_name_and_nobody_else_does(environment: DockerEnvironment) -> None:
    server = environment.start_ready(SERVER, host="algo-1", group="a job")
    assert environment.start(STRANGER).wait(LONG_S) == Exit(0)
    assert environment.start(STRANGER, group="another").wait(LONG_S) == Exit(0)
    assert environment.lines == ["ready", "nobody", "nobody"]
    assert environment.start(CLIENT, host="algo-2", group="a job").wait(LONG_S) == Exit(0)
    assert server.wait(LONG_S) == Exit(0)
    assert "own True algo-2 ['lo', 'eth0']" in environment.lines
    assert any(line.startswith("peer ") for line in environment.lines)
    assert environment.left() == []


def test_many_at_once_and_a_close_in_their_midst(environment: DockerEnvironment) -> None:
    def run(number: int) -> Exit | None:
        return environment.start(f"sys.exit({number})", "bare", group="g" if number % 2 else "").wait(LONG_S)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == [Exit(number) for number in range(8)]
        starts = [pool.submit(environment.start, "time.sleep(60)", group="g") for _ in range(4)]
        next(as_completed(starts)).result()
        environment.runtime.close()
        assert environment.left() == []
    for start in starts:
        error = start.exception()
        assert (isinstance(error, ApiError) and error.status == 503) if error else start.result().poll() == Exit(137)


def test_close_takes_groups_down_as_well(environment: DockerEnvironment) -> None:
    containers = [environment.start("time.sleep(60)", host=f"algo-{n}", group="g") for n in (1, 2)]
    environment.runtime.close()
    assert [container.poll() for container in containers] == [Exit(137), Exit(137)]
    assert environment.left() == []


OWNER = """
import sys, pathlib, os
from stagemaker.core.supervisor import Supervisor
from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.runtime import DockerRuntime
from stagemaker.settings import DockerSettings
state, network, image, url = sys.argv[1:]
settings = DockerSettings(network, "auto", "none", "", "", 5000)
runtime = DockerRuntime(settings, pathlib.Path(state), None, Supervisor(), url)
for group in "", "g":
    environment = {"SOURCE": "import time; time.sleep(60)"}
    spec = ContainerSpec("left", image, ("train",), None, environment, group=group, host="algo-1")
    runtime.start(spec, print)
print("started", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_owner_left_is_swept(environment: DockerEnvironment) -> None:
    arguments = [
        str(environment.folder / "state"),
        environment.network,
        environment.image,
        environment.runtime._engine.url,
    ]
    variables = {"PYTHONPATH": str(ROOT / "plugin"), "PATH": os.environ["PATH"]}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"started\n"
        owner.send_signal(signal.SIGKILL)
    mine = environment.start_ready("print('ready'); time.sleep(60)")
    assert environment.runtime.sweep() == 2
    assert mine.poll() is None
    assert len(environment.left()) == 1
    assert environment.runtime.sweep() == 0


def test_a_network_that_others_use_does_not_stop_a_sweep(environment: DockerEnvironment) -> None:
    name = f"{environment.network}-earlier"
    with closing(client()) as engine:
        engine.create_network(name, labels=environment.runtime._labels)
        other = run_container(engine, environment.image, ["bare"], Env=["SOURCE=time.sleep(60)"],
                              HostConfig={"NetworkMode": name})  # fmt: skip
        try:
            assert environment.runtime.sweep() == 0
            assert environment.left() == [name]
        finally:
            engine.remove_container(other, force=True)
    assert environment.runtime.sweep() == 0
    assert environment.left() == []


@unreachable
def test_an_engine_that_stops_ends_what_runs_and_is_cleaned_up_when_it_is_back(environment: DockerEnvironment) -> None:
    proxy = Proxy(environment.folder / "engine.sock")
    environment.runtime = environment.new_runtime(url=proxy.url)
    running = [environment.start_ready("print('ready'); time.sleep(60)", group=group) for group in ("", "g")]
    proxy.cut()
    for container in running:
        assert container.wait(30) == Exit(137, ENGINE_STOPPED, lost=True)
    assert running[0].stop(30) == Exit(137, ENGINE_STOPPED, lost=True)
    with pytest.raises(ApiError, match="start Docker") as failure:
        environment.start("")
    assert failure.value.status == 500
    with pytest.raises(ApiError, match=f"Docker cannot look up the image '{environment.image}': "):
        environment.runtime.check_image(environment.image)
    with pytest.raises(ApiError, match=f"Docker cannot use the network '{environment.network}': "):
        environment.runtime.host()
    assert environment.runtime.sweep() == 0
    assert len(environment.left()) == 2  # the containers; their networks are kept for the next job
    proxy.mend()
    assert environment.start("print('again')").wait(LONG_S) == Exit(0)
    assert environment.left() == []
    environment.runtime.close()
    proxy.cut()
    assert environment.left() == []


@unreachable
def test_without_an_engine_it_says_what_to_do(environment: DockerEnvironment) -> None:
    with pytest.raises(RuntimeError, match=r"start Docker, mount its socket .* or set STAGEMAKER_RUNTIME=process"):
        environment.new_runtime(url=f"unix://{environment.folder}/no.sock")


def test_a_removal_by_somebody_else_is_an_end(environment: DockerEnvironment) -> None:
    container = environment.start_ready("print('ready'); time.sleep(60)")
    with closing(client()) as engine:
        engine.remove_container(environment.left()[0], force=True)
    end = container.wait(LONG_S)
    assert end is not None
    assert end.code == 137


def test_a_gpu_that_is_required_and_not_there(environment: DockerEnvironment) -> None:
    strict = environment.new_runtime(gpu="require")
    if strict._machine.nvidia or strict._machine.cdi_gpus:
        pytest.skip("this engine offers a GPU")
    with pytest.raises(HardwareRefused, match="install the NVIDIA container toolkit, or set STAGEMAKER_GPU=auto"):
        strict.check_hardware("ml.g5.xlarge", 1)
    strict.check_hardware("ml.m5.large", 2)
    container = environment.start("", instance_type="ml.g5.xlarge")
    assert container.hardware == "CPU: ml.g5.xlarge has a GPU, but this Docker engine offers none"
