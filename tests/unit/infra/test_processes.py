import os
import socket
import subprocess
import sys
import time

from infra import processes
from infra.processes import Process


def child(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_this_process() -> None:
    found = processes.find(os.getpid())
    assert found is not None
    assert processes.is_alive(found)
    assert found in processes.family(found)


def test_an_id_used_again_is_another_process() -> None:
    found = processes.find(os.getpid())
    assert found is not None
    assert not processes.is_alive(Process(found.pid, found.started - 1))
    assert processes.family(Process(found.pid, found.started - 1)) == set()


def test_a_grandchild_is_of_the_family_and_can_be_killed() -> None:
    start = "import subprocess; one = subprocess.Popen(['sleep', '60'], start_new_session=True)"
    code = f"{start}; print(one.pid, flush=True); one.wait()"
    with child(code) as parent:
        assert parent.stdout is not None
        grandchild = processes.find(int(parent.stdout.readline()))
        born = processes.find(parent.pid)
        assert born is not None
        family = processes.family(born)
        assert grandchild in family
        processes.kill(family)
        assert processes.wait_gone(family, 10) == set()
        parent.returncode = -9  # wait_gone has reaped it


def test_waiting_has_an_end() -> None:
    found = processes.find(os.getpid())
    assert found is not None
    began = time.monotonic()
    assert processes.wait_gone([found], 0.1) == {found}
    assert time.monotonic() - began < 5


def test_a_process_that_ended_is_gone() -> None:
    with child("input()") as one:
        found = processes.find(one.pid)
        assert found is not None
        processes.terminate(found)
        assert processes.wait_gone([found], 10) == set()
        processes.terminate(found)
        one.returncode = -15


def test_what_this_process_listens_on() -> None:
    me = processes.find(os.getpid())
    assert me is not None
    with socket.socket() as tcp, socket.socket(socket.AF_INET6) as tcp6, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        assert ("127.0.0.1", tcp.getsockname()[1]) not in processes.listening([me])
        tcp.listen()
        address = tcp.getsockname()
        tcp6.bind(("::", 0))
        tcp6.listen()
        udp.bind(("0.0.0.0", 0))
        found = processes.listening([me])
    assert address in found
    assert any(host == "::" for host, _ in found)
    assert any(host == "0.0.0.0" for host, _ in found)
