"""A container as the engine's interface describes it (ContainerCreate). Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stagemaker.runtime.contract import ContainerSpec
from stagemaker.runtime.docker.hardware import GIB, Gpus, Limits
from stagemaker.runtime.ports import LOOPBACK

PORT = 8080  # of the container's own address: the port of SageMaker's contract
_PIDS = 4096
_SHARED_BYTES = GIB  # of /dev/shm, through which DataLoader workers pass batches; the engine's own default is 64 MB
# All that a container may do beyond an ordinary user, and why. What is not here would let it read its neighbours'
# traffic (NET_RAW), make devices (MKNOD), write the machine's audit log (AUDIT_WRITE), or is rarely needed (SETFCAP,
# SYS_CHROOT, SETPCAP, FSETID). https://man7.org/linux/man-pages/man7/capabilities.7.html
CAPABILITIES: Mapping[str, str] = {
    "CHOWN": "root's programs give files to the user that they then run as, and packages do when they are installed",
    "DAC_OVERRIDE": "root reads and writes the files of other users, such as a home folder of the image",
    "FOWNER": "root changes modes and times of the files of other users, as tar and pip do",
    "KILL": "a first process that is root ends children that run as another user",
    "NET_BIND_SERVICE": "a server listens on a port below 1024; engines before 20.10 do not open these to all",
    "SETGID": "su, gosu and nginx take another group",
    "SETUID": "su, gosu and nginx take another user",
}
_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_.-]+")


def engine_name(name: str, unique: str) -> str:
    """A valid name of a container or network: ours, the caller's, and what makes it unique."""
    return f"stagemaker-{_NOT_IN_A_NAME.sub('-', name)}-{unique}"


def container_config(
    spec: ContainerSpec,
    *,
    image: str,
    labels: Mapping[str, str],
    network: str,
    link_local: Sequence[str] = (),
    mounts: Iterable[Mapping[str, Any]],
    limits: Limits,
    gpus: Gpus,
    machine_memory_bytes: int,
    own_variables: Mapping[str, str],
) -> dict[str, Any]:
    """`network` is the only one that it is on, so that its eth0 is there, with these `link_local` addresses; or it is
    `container:<id>`, whose network it is in. Other containers of a group find it by its host name. `own_variables` are
    set whatever the spec says. Its first process is the image's own program, without an init, as on AWS."""
    environment = {**spec.environment, **own_variables}
    endpoint: dict[str, Any] = {"Aliases": [spec.host] if spec.group and spec.host else []}
    if link_local:
        endpoint["IPAMConfig"] = {"LinkLocalIPs": list(link_local)}
    return {
        "Image": image,
        "Cmd": list(spec.command),
        **({"Entrypoint": list(spec.entrypoint)} if spec.entrypoint is not None else {}),
        **({"Hostname": spec.host} if spec.host else {}),
        **({"WorkingDir": spec.working_directory} if spec.working_directory else {}),
        **({"User": spec.user} if spec.user else {}),
        **({"ExposedPorts": {f"{PORT}/tcp": {}}} if spec.published else {}),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": dict(labels),
        "HostConfig": {
            "NetworkMode": network,
            **({"PortBindings": {f"{PORT}/tcp": [{"HostIp": LOOPBACK, "HostPort": ""}]}} if spec.published else {}),
            "Mounts": list(mounts),
            "DeviceRequests": list(gpus.requests),
            "NanoCpus": limits.nano_cpus,
            "Memory": limits.memory_bytes,
            "MemorySwap": limits.memory_bytes,  # the sum of both: no swap
            "ShmSize": min(_SHARED_BYTES, (limits.memory_bytes or machine_memory_bytes) // 2),
            "PidsLimit": _PIDS,
            "CapDrop": ["ALL"],
            "CapAdd": list(CAPABILITIES),
            "SecurityOpt": ["no-new-privileges"],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
            "Init": False,
        },
        "NetworkingConfig": {"EndpointsConfig": {} if network.startswith("container:") else {network: endpoint}},
    }
