"""Where in a VPC something runs: the stage runs it on this machine, and only calls to S3 notice the VPC."""

from collections.abc import Mapping, Sequence


def first_subnet(vpc_config: Mapping[str, Sequence[str]] | None) -> str:
    """The id of the subnet in which all instances of a VpcConfig run: the first one (ours). Empty without a
    VpcConfig."""
    return vpc_config["Subnets"][0] if vpc_config else ""
