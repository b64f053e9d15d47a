"""What an instance type means on a machine."""

import pytest
from localstack.aws.spec import load_service

from stagemaker.adapters import service_models
from stagemaker.runtime.docker.hardware import GIB, ONE_GPU, Gpus, Limits, Machine, gpus, lacks_gpu, limits, machine

CPU_ONLY = Machine(cpus=4, memory_bytes=16 * GIB)
NVIDIA = Machine(cpus=4, memory_bytes=16 * GIB, nvidia=True)
CDI = Machine(cpus=4, memory_bytes=16 * GIB, cdi_gpus=("nvidia.com/gpu=0", "nvidia.com/gpu=1"))


def test_every_gpu_family_of_aws_is_known() -> None:
    service_models.install()
    model = load_service("sagemaker")
    types = {*model.shape_for("TrainingInstanceType").enum, *model.shape_for("ProductionVariantInstanceType").enum}
    families = {name.split(".")[1] for name in types}
    assert {family for family in families if family[0] in "pg"} == set(ONE_GPU)
    for family, sizes in ONE_GPU.items():
        assert {f"ml.{family}.{size}" for size in sizes} <= types


def test_what_the_engine_offers() -> None:
    bare = {"NCPU": 4, "MemTotal": 16 * GIB, "Runtimes": {"runc": {}}}
    assert machine(bare) == CPU_ONLY
    assert machine({**bare, "Runtimes": {"runc": {}, "nvidia": {}}}) == NVIDIA
    ids = ("nvidia.com/gpu=1", "nvidia.com/gpu=all", "nvidia.com/gpu=0", "vendor.com/nic=0")
    assert machine({**bare, "DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in ids]}) == CDI


@pytest.mark.parametrize(
    ("instance_type", "policy", "offer", "expected"),
    [
        ("ml.m5.large", "auto", NVIDIA, Gpus((), "CPU")),
        ("", "require", NVIDIA, Gpus((), "CPU")),
        ("ml.g5.xlarge", "auto", NVIDIA, Gpus(({"Count": 1, "Capabilities": [["gpu"]]},), "1 GPU")),
        (
            "ml.g5.12xlarge", "require", NVIDIA,
            Gpus(({"Count": -1, "Capabilities": [["gpu"]]},), "all GPUs of this machine"),
        ),
        ("ml.p3.2xlarge", "auto", CDI, Gpus(({"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=0"]},), "1 GPU")),
        ("ml.g5.xlarge", "off", NVIDIA, Gpus((), "CPU: ml.g5.xlarge has a GPU, but STAGEMAKER_GPU is off")),
        (
            "ml.p6-b200.48xlarge", "auto", CPU_ONLY,
            Gpus((), "CPU: ml.p6-b200.48xlarge has a GPU, but this Docker engine offers none"),
        ),
    ],
)  # fmt: skip
def test_gpus(instance_type: str, policy: str, offer: Machine, expected: Gpus) -> None:
    assert gpus(instance_type, policy, offer) == expected


def test_a_gpu_is_lacking_only_where_it_is_required() -> None:
    assert "install the NVIDIA container toolkit" in (lacks_gpu("ml.g5.xlarge", "require", CPU_ONLY) or "")
    assert lacks_gpu("ml.g5.xlarge", "auto", CPU_ONLY) is None
    assert lacks_gpu("ml.g5.xlarge", "require", NVIDIA) is None
    assert lacks_gpu("ml.c5.xlarge", "require", CPU_ONLY) is None


@pytest.mark.parametrize(
    ("instance_type", "policy", "memory_mb", "expected"),
    [
        ("ml.m5.large", "none", 0, Limits(0, 0)),
        ("ml.m5.large", "instance", 0, Limits(2 * 10**9, 8 * GIB)),
        ("ml.c5.large", "instance", 0, Limits(2 * 10**9, 4 * GIB)),
        ("ml.t3.medium", "instance", 0, Limits(2 * 10**9, 4 * GIB)),
        ("ml.r7gd.medium", "instance", 0, Limits(10**9, 8 * GIB)),
        ("ml.m5.xlarge", "instance", 0, Limits(0, 0)),  # as much as the machine has
        ("ml.c5.9xlarge", "instance", 0, Limits(0, 0)),
        ("ml.p5.48xlarge", "instance", 0, Limits(0, 0)),
        ("ml.new9.large", "instance", 0, Limits(0, 0)),
        ("nonsense", "instance", 0, Limits(0, 0)),
        ("ml.m5.large", "instance", 512, Limits(2 * 10**9, 512 * 2**20)),
        ("", "none", 128, Limits(0, 128 * 2**20)),
        ("", "none", 10**6, Limits(0, 0)),
    ],
)
def test_limits(instance_type: str, policy: str, memory_mb: int, expected: Limits) -> None:
    assert limits(instance_type, policy, memory_mb, CPU_ONLY) == expected


@pytest.mark.parametrize(
    ("policy", "cpus", "expected"), [("none", 2, 0), ("instance", 2, 2 * 10**9), ("instance", 64, 0)]
)
def test_cpus_of_their_own_are_a_limit_where_cpus_are_limited(policy: str, cpus: int, expected: int) -> None:
    assert limits("", policy, 1024, CPU_ONLY, cpus=cpus) == Limits(expected, 1024 * 2**20)
