"""A container as the engine's interface describes it, and its output."""

import socket
import struct
import threading
from pathlib import Path
from typing import Any

from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.config import container_config, engine_name
from stagemaker.runtime.docker.frames import Frames
from stagemaker.runtime.docker.hardware import GIB, Gpus, Limits


def config(spec: ContainerSpec, limits: Limits = Limits(0, 0)) -> dict[str, Any]:  # noqa: B008 - a frozen value
    return container_config(
        spec,
        image="x@sha256:1",
        labels={"a": "b"},
        network="net",
        mounts=[{"Type": "bind"}],
        limits=limits,
        gpus=Gpus(({"Count": 1},), "1 GPU"),
        machine_memory_bytes=GIB,
        own_variables={"SAGEMAKER_BIND_TO_PORT": "8080"} if spec.serves else {},
    )


def test_a_plain_container() -> None:
    found = config(ContainerSpec("job", "x", ("train",), Path("/base"), {"A": "1=2"}))
    assert {name: found[name] for name in ("Image", "Cmd", "Env", "Labels")} == {
        "Image": "x@sha256:1", "Cmd": ["train"], "Env": ["A=1=2"], "Labels": {"a": "b"},
    }  # fmt: skip
    assert not found.keys() & {"Entrypoint", "Hostname", "WorkingDir", "User"}
    host = found["HostConfig"]
    assert host["Init"] is False
    assert "PortBindings" not in host
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["CapDrop"] == ["ALL"]
    assert not {"NET_RAW", "MKNOD", "AUDIT_WRITE", "SETFCAP", "SYS_CHROOT"} & set(host["CapAdd"])
    assert host["PidsLimit"] == 4096
    assert (host["Memory"], host["NanoCpus"], host["ShmSize"]) == (0, 0, GIB // 2)
    assert (host["Mounts"], host["DeviceRequests"]) == ([{"Type": "bind"}], [{"Count": 1}])
    assert found["NetworkingConfig"] == {"EndpointsConfig": {"net": {"Aliases": []}}}


def test_a_server_of_a_group_with_limits() -> None:
    spec = ContainerSpec(
        "job", "x", ("-c", "x"), None, serves=True, entrypoint=("python",), host="algo-1", group="job",
        working_directory="/w",
    )  # fmt: skip
    found = config(spec, Limits(10**9, 64 * 2**20))
    assert found["Env"] == ["SAGEMAKER_BIND_TO_PORT=8080"]
    assert (found["Entrypoint"], found["Hostname"], found["WorkingDir"]) == (["python"], "algo-1", "/w")
    assert found["NetworkingConfig"] == {"EndpointsConfig": {"net": {"Aliases": ["algo-1"]}}}
    host = found["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 64 * 2**20
    assert (host["NanoCpus"], host["ShmSize"]) == (10**9, 32 * 2**20)


def test_a_published_server_is_reached_from_loopback_only() -> None:
    found = config(ContainerSpec("lab", "x", (), None, serves=True, published=True, user="root"))
    assert found["ExposedPorts"] == {"8080/tcp": {}}
    assert found["HostConfig"]["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert found["User"] == "root"


def test_a_host_name_without_a_group_is_no_alias() -> None:
    found = config(ContainerSpec("job", "x", ("train",), None, host="algo-1"))
    assert found["NetworkingConfig"] == {"EndpointsConfig": {"net": {"Aliases": []}}}


def test_names_are_valid_for_the_engine() -> None:
    assert engine_name("my job/algo-1", "0f") == "stagemaker-my-job-algo-1-0f"


def test_frames_are_read_whatever_their_size_and_end_with_the_connection() -> None:
    ours, theirs = socket.socketpair()
    sent = [(1, b"out"), (2, b"error\n"), (1, b""), (1, b"x" * 300_000), (2, b"cut")]
    wire = b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in sent)

    def write() -> None:
        with theirs:
            theirs.sendall(wire[:-1])

    writer = threading.Thread(target=write)
    writer.start()
    frames = Frames(ours)
    found: dict[int, bytes] = {1: b"", 2: b""}
    for stream, chunk in frames:
        assert len(chunk) <= 64 * 1024
        found[stream] += chunk
    writer.join()
    frames.close()
    frames.close()
    assert found == {1: b"out" + b"x" * 300_000, 2: b"error\ncu"}


def test_closing_ends_the_reading_in_another_thread() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        frames = Frames(ours)
        reader = threading.Thread(target=lambda: list(frames))
        reader.start()
        frames.close()
        reader.join(10)
        assert not reader.is_alive()
