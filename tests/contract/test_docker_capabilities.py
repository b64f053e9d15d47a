"""What a container may do on the machine: nothing that reaches its neighbours, and what ordinary programs need."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagemaker.runtime.contract import Exit
from stagemaker.runtime.docker.config import CAPABILITIES
from tests.contract.docker_environment import LONG_S, DockerEnvironment

# https://github.com/torvalds/linux/blob/master/include/uapi/linux/capability.h
NUMBERS = {
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7, "NET_BIND_SERVICE": 10,
}  # fmt: skip
READS = """
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))])
"""
FORBIDDEN = """
import socket
for family, kind, protocol in (
    (socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)), (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
):
    try: socket.socket(family, kind, protocol)
    except OSError as error: print(type(error).__name__)
try: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0))
except OSError as error: print(type(error).__name__)
"""
ORDINARY = """
import shutil, socket, subprocess
pathlib.Path("/tmp/a").write_text("x")
shutil.chown("/tmp/a", "nobody", "nogroup")
os.chmod("/tmp/a", 0o600)
print(pathlib.Path("/tmp/a").read_text())
print(subprocess.run(["id", "-un"], user="nobody", group="nogroup", capture_output=True, text=True).stdout.strip())
sleeper = subprocess.Popen(["sleep", "60"], user="nobody")
sleeper.kill()
print(sleeper.wait())
print(socket.create_server(("", 80)).getsockname()[1])
"""


@pytest.fixture
def environment(docker_image: str, tmp_path: Path) -> Iterator[DockerEnvironment]:
    made = DockerEnvironment(docker_image, tmp_path)
    yield made
    made.close()
    assert made.left() == []


def test_a_root_program_has_the_capabilities_of_the_table_and_no_others(environment: DockerEnvironment) -> None:
    assert environment.start(READS, "bare").wait(LONG_S) == Exit(0)
    effective, bounding, no_new_privileges = environment.lines[0].split()
    assert int(effective, 16) == int(bounding, 16) == sum(1 << NUMBERS[name] for name in CAPABILITIES)
    assert no_new_privileges == "1"


def test_it_cannot_listen_to_others_nor_make_a_disk(environment: DockerEnvironment) -> None:
    assert environment.start(FORBIDDEN, "bare").wait(LONG_S) == Exit(0)
    assert environment.lines == ["PermissionError"] * 3


def test_what_ordinary_programs_of_root_do_still_works(environment: DockerEnvironment) -> None:
    assert environment.start(ORDINARY, "bare").wait(LONG_S) == Exit(0), environment.lines
    assert environment.lines == ["x", "nobody", "-9", "80"]


def test_a_function_has_none(environment: DockerEnvironment) -> None:
    assert environment.start(READS, "bare", function=True, mounts=()).wait(LONG_S) == Exit(0)
    assert environment.lines == ["0000000000000000 0000000000000000 1"]
