"""What an instance type means on this machine: GPUs, CPUs and memory. Pure.

Sources: botocore's enums of instance types, and the pages of AWS's instance types.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.core.errors import hinted

GIB = 2**30
_USUAL = ("xlarge", "2xlarge", "4xlarge", "8xlarge", "16xlarge")
# Every family with NVIDIA GPUs, and its sizes with one GPU; the others have several.
ONE_GPU: Mapping[str, tuple[str, ...]] = {
    "p2": ("xlarge",), "p3": ("2xlarge",), "p3dn": (), "p4d": (), "p4de": (), "p5": ("4xlarge",), "p5e": (), "p5en": (),
    "p6-b200": (), "p6-b300": (), "p6e-gb200": (), "g4dn": _USUAL, "g5": _USUAL, "g6": _USUAL, "g6e": _USUAL,
    "g7": ("2xlarge", "4xlarge", "8xlarge"), "g7e": ("2xlarge", "4xlarge", "8xlarge"),
}  # fmt: skip
# The families whose sizes all have so many GiB for each vCPU.
_GIB_PER_CPU: Mapping[str, int] = {
    **dict.fromkeys(
        ("c5", "c5d", "c6g", "c6gd", "c6gn", "c6i", "c6in", "c7g", "c7i", "c7i-flex", "c8g", "c8i", "c8i-flex"), 2
    ),
    **dict.fromkeys(
        ("m4", "m5", "m5d", "m6g", "m6gd", "m6i", "m7i", "m7i-flex", "m8g", "m8i", "m8i-flex", "g4dn", "g5", "g6"), 4
    ),
    **dict.fromkeys(("r5", "r5d", "r6g", "r6gd", "r6i", "r7gd", "r7i", "r8g", "r8i", "r8i-flex", "g6e"), 8),
}
_BURSTABLE: Mapping[str, tuple[int, int]] = {"medium": (2, 4), "large": (2, 8), "xlarge": (4, 16), "2xlarge": (8, 32)}


@dataclass(frozen=True)
class Machine:
    """What the engine offers."""

    cpus: int
    memory_bytes: int
    nvidia: bool = False  # it has NVIDIA's runtime
    cdi_gpus: tuple[str, ...] = ()  # the names of single GPUs in the Container Device Interface


@dataclass(frozen=True)
class Gpus:
    """`requests` is the engine's DeviceRequests, `text` says it to people."""

    requests: tuple[Mapping[str, Any], ...]
    text: str


@dataclass(frozen=True)
class Limits:
    """0: none."""

    nano_cpus: int
    memory_bytes: int


def machine(info: Mapping[str, Any]) -> Machine:
    """From the answer to the engine's SystemInfo."""
    devices = (device.get("ID", "") for device in info.get("DiscoveredDevices") or () if device.get("Source") == "cdi")
    gpus = sorted(name for name in devices if name.startswith("nvidia.com/gpu=") and not name.endswith("=all"))
    return Machine(info["NCPU"], info["MemTotal"], "nvidia" in (info.get("Runtimes") or {}), tuple(gpus))


def gpus(instance_type: str, policy: str, offer: Machine) -> Gpus:
    """What a container of this type gets. One GPU where the type has one, else all that there are."""
    family, size = _parts(instance_type)
    if family not in ONE_GPU:
        return Gpus((), "CPU")
    if policy == "off":
        return Gpus((), f"CPU: {instance_type} has a GPU, but STAGEMAKER_GPU is off")
    if not offer.nvidia and not offer.cdi_gpus:
        return Gpus((), f"CPU: {instance_type} has a GPU, but this Docker engine offers none")
    one = size in ONE_GPU[family]
    text = "1 GPU" if one else "all GPUs of this machine"
    if offer.nvidia:
        return Gpus(({"Count": 1 if one else -1, "Capabilities": [["gpu"]]},), text)
    names = offer.cdi_gpus[:1] if one else offer.cdi_gpus
    return Gpus(({"Driver": "cdi", "DeviceIDs": list(names)},), text)


def lacks_gpu(instance_type: str, policy: str, offer: Machine) -> str | None:
    """Why this type is refused, in a sentence with the next step, or None."""
    needs = policy == "require" and _parts(instance_type)[0] in ONE_GPU
    if not needs or gpus(instance_type, policy, offer).requests:
        return None
    return hinted(
        f"{instance_type} has a GPU, but this Docker engine offers none, and STAGEMAKER_GPU is require.",
        "install the NVIDIA container toolkit, or set STAGEMAKER_GPU=auto to run on the CPU.",
    )


def limits(instance_type: str, policy: str, memory_mb: int, offer: Machine, *, cpus: int = 0) -> Limits:
    """CPUs and memory of the type where `policy` is instance and this machine has more; `memory_mb`, if any, wins, and
    under this policy `cpus`."""
    type_cpus, memory_gib = _size(instance_type) if policy == "instance" else (0, 0)
    cpus = (cpus or type_cpus) if policy == "instance" else 0
    memory_bytes = memory_mb * 2**20 or memory_gib * GIB
    return Limits(
        nano_cpus=cpus * 10**9 if cpus < offer.cpus else 0,
        memory_bytes=memory_bytes if memory_bytes < offer.memory_bytes else 0,
    )


def _parts(instance_type: str) -> tuple[str, str]:
    """Family and size of `ml.<family>.<size>`."""
    family, _, size = instance_type.removeprefix("ml.").partition(".")
    return family, size


def _size(instance_type: str) -> tuple[int, int]:
    """vCPUs and GiB; zeros where we do not know."""
    family, size = _parts(instance_type)
    if family in ("t2", "t3"):
        return _BURSTABLE.get(size, (0, 0))
    times = size.removesuffix("xlarge") or "1"
    cpus = {"medium": 1, "large": 2}.get(size) or (4 * int(times) if times.isdecimal() else 0)
    per_cpu = _GIB_PER_CPU.get(family)
    return (cpus, cpus * per_cpu) if per_cpu else (0, 0)
