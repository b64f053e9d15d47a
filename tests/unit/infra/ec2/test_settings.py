"""The table [ec2] of a preset: what AWS would not take is refused."""

from typing import Any

import pytest

from infra.ec2.settings import AMIS, Ec2Settings


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"instance_type": "ml.m5.xlarge"}, "is not an instance type of EC2"),
        ({"instance_type": "m5"}, "is not an instance type of EC2"),
        ({"ami": "ubuntu"}, "must be deep-learning or amazon-linux-2023"),
        ({"market": "cheap"}, "must be on-demand or spot"),
        ({"volume_gb": 0}, "0 GB for 3600 s"),
        ({"limit_s": 0}, "100 GB for 0 s"),
        ({"ssh_from": "me"}, 'must be "own" or a CIDR block'),
        ({"ssh_from": "203.0.113.7/24"}, 'must be "own" or a CIDR block'),
        ({"ssh_from": "0.0.0.0/0"}, "opens port 22 to everybody"),
        ({"ssh_from": "::/0"}, "opens port 22 to everybody"),
    ],
)
def test_what_cannot_be(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Ec2Settings(**values)


@pytest.mark.parametrize("block", ["own", "203.0.113.7/32", "203.0.113.0/24", "2001:db8::1/128"])
def test_addresses_that_may_come_in(block: str) -> None:
    assert Ec2Settings(ssh_from=block).ssh_from == block


def test_the_ami_is_found_by_a_parameter_of_systems_manager() -> None:
    assert Ec2Settings().ami_parameter == AMIS["deep-learning"]
    assert Ec2Settings(ami="/aws/service/some/ami-id").ami_parameter == "/aws/service/some/ami-id"
