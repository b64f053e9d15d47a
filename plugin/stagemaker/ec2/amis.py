"""The AMIs that are real on the stage: each has the one host image. Pure.

The names of the parameters are AWS's; the ids of Deep Learning AMIs are made up, and those of Amazon Linux are AWS's
own of some day, as moto has them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from stagemaker.core.errors import ApiError, hinted

PARAMETERS = "/aws/service/deeplearning/ami/x86_64/"
RESOLVE = "resolve:ssm:"  # begins an ImageId that is the name of a parameter
_AMAZON_LINUX = "al2023-ami-"
_BASE = "base-oss-nvidia-driver-gpu"
_PYTORCH = "oss-nvidia-driver-gpu-pytorch"
# The part of the parameter's name between PARAMETERS and /latest/ami-id, and the AMI's name without its date.
_DEEP_LEARNING = {
    f"{_BASE}-ubuntu-22.04": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 22.04)",
    f"{_BASE}-ubuntu-24.04": "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04)",
    f"{_BASE}-amazon-linux-2023": "Deep Learning Base OSS Nvidia Driver GPU AMI (Amazon Linux 2023)",
    f"{_PYTORCH}-2.8-ubuntu-24.04": "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.8 (Ubuntu 24.04)",
    f"{_PYTORCH}-2.8-amazon-linux-2023": "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.8 (Amazon Linux 2023)",
    f"{_PYTORCH}-2.9-ubuntu-24.04": "Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.9 (Ubuntu 24.04)",
}
_DATE = "20261101"  # (ours) when each was built


@dataclass(frozen=True)
class Ami:
    """One of ours. `parameter` is the public parameter that has its id."""

    id: str
    parameter: str
    name: str
    root_device: str


def deep_learning_amis(region: str) -> Iterator[Ami]:
    """Those of a region: an AMI is another one in each."""
    for part, name in _DEEP_LEARNING.items():
        parameter = f"{PARAMETERS}{part}/latest/ami-id"
        digest = hashlib.sha256(f"{region} {parameter}".encode()).hexdigest()[:17]
        device = "/dev/xvda" if "Amazon Linux" in name else "/dev/sda1"
        yield Ami(f"ami-{digest}", parameter, f"{name} {_DATE}", device)


def check_ami(ami_id: str, name: str | None, architecture: str) -> None:
    """Refuse an AMI that has no host here, with the next step. `name` None: EC2 does not know it."""
    if name is None:
        raise ApiError("InvalidAMIID.NotFound", f"The image id '[{ami_id}]' does not exist")
    is_known = name.startswith((*_DEEP_LEARNING.values(), _AMAZON_LINUX))
    if not is_known or architecture != "x86_64":
        raise ApiError(
            "UnsupportedOperation",
            hinted(
                f"The image {ami_id} ({name}, {architecture}) cannot be run here.",
                "the AMIs with a host are Amazon Linux 2023 and the Deep Learning AMIs for x86_64, by the ids in "
                f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64 and below {PARAMETERS}.",
            ),
        )
