"""The network of a deployment as data: the table [network] of a preset."""

import re
from dataclasses import dataclass

DEFAULT_VPC = "default"
MAX_SUBNETS = 16  # of a VpcConfig: AWS's
_VPC = re.compile("vpc-[0-9a-f]{8,17}")
_SUBNET = re.compile("subnet-[0-9a-f]{8,17}")
_TAG = re.compile(r"[^=:*?\s][^=*?]{0,127}=[^*?]{1,256}")


@dataclass(frozen=True)
class NetworkSettings:
    """The VPC in which jobs, endpoints and EC2 hosts run: an id, or "default" for the account's default one
    of the region. They run in the subnets that `subnets` names by id, else in those with the tag `subnet_tag`, such as
    "tier=private", else in all of the VPC. With `gateway_endpoint` the subnets' route tables get one of S3, by which
    only the deployment's own bucket can be reached. Raises ValueError for what AWS would not take."""

    vpc: str = DEFAULT_VPC
    subnets: tuple[str, ...] = ()
    subnet_tag: str = ""
    gateway_endpoint: bool = False

    def __post_init__(self) -> None:
        if self.vpc != DEFAULT_VPC and not _VPC.fullmatch(self.vpc):
            raise ValueError(f"The VPC {self.vpc!r} must be {DEFAULT_VPC!r}, or an id such as vpc-0a1b2c3d.")
        if wrong := [one for one in self.subnets if not _SUBNET.fullmatch(one)]:
            raise ValueError(f"The subnet {wrong[0]!r} must be an id such as subnet-0a1b2c3d.")
        if len(self.subnets) > MAX_SUBNETS or len(set(self.subnets)) < len(self.subnets):
            raise ValueError(f"{len(self.subnets)} subnets: AWS takes at most {MAX_SUBNETS}, each once.")
        if self.subnet_tag and not _TAG.fullmatch(self.subnet_tag):
            raise ValueError(f"The tag of subnets {self.subnet_tag!r} must be a key and a value, such as tier=private.")
        if self.subnets and self.subnet_tag:
            raise ValueError("subnets and subnet_tag both say which subnets: give one of them.")
