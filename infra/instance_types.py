"""What the instance types have that this workload can use: processors, memory and GPU, as AWS's pages list them
(https://aws.amazon.com/ec2/instance-types/). SageMaker's types are EC2's with `ml.` before them.

Pure. What is not in the list is a type all the same: nothing is said about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ML = "ml."  # begins SageMaker's names


@dataclass(frozen=True)
class InstanceType:
    """An instance type of EC2. `gpu` is empty where there is none; `gpu_gib` is the memory of its one GPU. `bursts`:
    it may use its processors fully only for a time."""

    name: str
    vcpus: int
    memory_gib: int
    gpu: str = ""
    gpu_gib: int = 0
    bursts: bool = False

    def holds(self, other: "InstanceType") -> bool:
        """Whether it has at least as much of everything as the other."""
        mine, theirs = (self.vcpus, self.memory_gib, self.gpu_gib), (other.vcpus, other.memory_gib, other.gpu_gib)
        return all(a >= b for a, b in zip(mine, theirs, strict=True)) and (other.bursts or not self.bursts)

    def __str__(self) -> str:
        gpu = f", one {self.gpu} of {self.gpu_gib} GiB" if self.gpu else ""
        return f"{self.vcpus} vCPUs, {self.memory_gib} GiB{gpu}"


TYPES: Mapping[str, InstanceType] = MappingProxyType(
    {
        one.name: one
        for one in (
            InstanceType("t2.medium", 2, 4, bursts=True),
            InstanceType("t2.xlarge", 4, 16, bursts=True),
            InstanceType("t3.medium", 2, 4, bursts=True),
            InstanceType("t3.large", 2, 8, bursts=True),
            InstanceType("t3.xlarge", 4, 16, bursts=True),
            InstanceType("c5.large", 2, 4),
            InstanceType("c5.xlarge", 4, 8),
            InstanceType("c5.2xlarge", 8, 16),
            InstanceType("m5.large", 2, 8),
            InstanceType("m5.xlarge", 4, 16),
            InstanceType("m5.2xlarge", 8, 32),
            InstanceType("m5.4xlarge", 16, 64),
            InstanceType("m6i.large", 2, 8),
            InstanceType("m6i.xlarge", 4, 16),
            InstanceType("m6i.2xlarge", 8, 32),
            InstanceType("m6i.4xlarge", 16, 64),
            InstanceType("g4dn.xlarge", 4, 16, "T4", 16),
            InstanceType("g4dn.2xlarge", 8, 32, "T4", 16),
            InstanceType("g5.xlarge", 4, 16, "A10G", 24),
            InstanceType("g5.2xlarge", 8, 32, "A10G", 24),
            InstanceType("g6.xlarge", 4, 16, "L4", 24),
            InstanceType("p3.2xlarge", 8, 61, "V100", 16),
        )
    }
)
_MOST_TRIED = 3


def find(name: str) -> InstanceType | None:
    """The type of that name, with or without `ml.`; None where it is not in the list."""
    return TYPES.get(name.removeprefix(ML))


def next_types(name: str) -> tuple[str, ...]:
    """The types to try where AWS has no more of this one, or the account may have none: those that hold as much, the
    smallest first, three at most; instead of a GPU at last also processors alone, which are slower. Empty for a type
    that is not in the list, and where no other holds as much. Names begin with `ml.` where the given one does."""
    wanted = find(name)
    if wanted is None:
        return ()
    others = [one for one in TYPES.values() if one != wanted and bool(one.gpu) == bool(wanted.gpu)]
    found = sorted((one for one in others if one.holds(wanted)), key=lambda one: (one.vcpus, one.memory_gib, one.name))
    names = [one.name for one in found[:_MOST_TRIED]] + (["m5.2xlarge"] if wanted.gpu else [])
    prefix = ML if name.startswith(ML) else ""
    return tuple(prefix + one for one in names)
