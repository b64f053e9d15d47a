"""The AMIs that have a host."""

import re

import pytest

from stagemaker.core.errors import ApiError
from stagemaker.ec2.amis import check_ami, deep_learning_amis


def test_each_region_has_amis_of_its_own_that_stay_the_same() -> None:
    here, there = (list(deep_learning_amis(region)) for region in ("us-east-1", "eu-west-1"))
    assert here == list(deep_learning_amis("us-east-1"))
    assert len({ami.id for ami in (*here, *there)}) == len(here) + len(there) == 12
    assert all(re.fullmatch("ami-[0-9a-f]{17}", ami.id) for ami in here)


def test_the_parameters_are_aws_s() -> None:
    names = {ami.parameter for ami in deep_learning_amis("us-east-1")}
    begin = "/aws/service/deeplearning/ami/x86_64/"
    assert f"{begin}base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id" in names
    assert f"{begin}oss-nvidia-driver-gpu-pytorch-2.9-ubuntu-24.04/latest/ami-id" in names


@pytest.mark.parametrize(
    ("name", "architecture", "code"),
    [
        (None, "", "InvalidAMIID.NotFound"),
        ("Windows_Server-2016", "x86_64", "UnsupportedOperation"),
        ("al2023-ami-2023.1-kernel-6.1-arm64", "arm64", "UnsupportedOperation"),
    ],
)
def test_an_ami_without_a_host_is_refused(name: str | None, architecture: str, code: str) -> None:
    with pytest.raises(ApiError, match=code):
        check_ami("ami-1", name, architecture)


def test_amazon_linux_and_the_deep_learning_amis_are_taken() -> None:
    check_ami("ami-1", "al2023-ami-2023.9-kernel-6.12-x86_64", "x86_64")
    for ami in deep_learning_amis("us-east-1"):
        check_ami(ami.id, ami.name, "x86_64")
