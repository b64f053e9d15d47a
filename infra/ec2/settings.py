"""The EC2 host of a deployment as data: the table [ec2] of a preset."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_TYPE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
MARKETS = ("on-demand", "spot")
OWN_ADDRESS = "own"
NO_KEY = "none"  # in place of the file of a public key: no port is opened
# The newest image of each sort, by AWS's public parameters in Systems Manager. The Deep Learning AMI has Docker, the
# GPU's driver and NVIDIA's container toolkit; the plain one has neither, and the host installs Docker itself.
AMIS: Mapping[str, str] = {
    "deep-learning": "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
    "amazon-linux-2023": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64",
}
MAX_VOLUME_GB = 16_384  # of gp3
MAX_LIMIT_S = 7 * 24 * 3600  # (ours)


@dataclass(frozen=True)
class Ec2Settings:
    """What `ec2-train` runs on, and for how long. `ami` is one of AMIS or a public parameter of Systems Manager.
    `market` is spot, with on demand where there is no spot capacity, or on-demand alone. `ssh_from` opens port 22 to
    one's own address ("own") or to a CIDR block, "" opens none. `limit_s` is the time to train. `script` runs a plain
    Python script, which writes TrainedModels/model.pth, in place of the trainer's program. `hyperparameters` win over
    the deployment's. Raises ValueError for what AWS would not take."""

    instance_type: str = "m5.xlarge"
    ami: str = "deep-learning"
    market: str = "on-demand"
    ssh_from: str = ""
    volume_gb: int = 100
    limit_s: int = 3600
    script: bool = False
    hyperparameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.instance_type.startswith("ml.") or not _TYPE.fullmatch(self.instance_type):
            raise ValueError(f"{self.instance_type!r} is not an instance type of EC2, such as g4dn.xlarge.")
        if self.ami not in AMIS and not self.ami.startswith("/aws/service/"):
            raise ValueError(f"The AMI {self.ami!r} must be {' or '.join(AMIS)}, or a parameter /aws/service/....")
        if self.market not in MARKETS:
            raise ValueError(f"The market {self.market!r} must be {' or '.join(MARKETS)}.")
        if not 1 <= self.volume_gb <= MAX_VOLUME_GB or not 1 <= self.limit_s <= MAX_LIMIT_S:
            raise ValueError(
                f"{self.volume_gb} GB for {self.limit_s} s: it must be 1 to {MAX_VOLUME_GB} GB, and 1 to "
                f"{MAX_LIMIT_S} s."
            )
        if self.ssh_from not in ("", OWN_ADDRESS):
            _check_block(self.ssh_from)

    @property
    def ami_parameter(self) -> str:
        """The name of the parameter whose value is the AMI's id."""
        return AMIS.get(self.ami, self.ami)


def _check_block(text: str) -> None:
    try:
        block = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(f'ssh_from = {text!r} must be "own" or a CIDR block, such as 203.0.113.7/32.') from None
    if block.prefixlen == 0:
        raise ValueError("ssh_from opens port 22 to everybody; name your own address.")
