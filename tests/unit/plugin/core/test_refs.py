"""ARNs and hosts, in each partition of AWS."""

from typing import Any

import pytest
from botocore.loaders import create_loader

from stagemaker.core.refs import Scope, partition_of


def partitions() -> list[Any]:
    found: list[Any] = create_loader().load_data("partitions")["partitions"]
    return found


@pytest.mark.parametrize("partition", partitions(), ids=lambda partition: partition["id"])
def test_every_region_is_in_the_partition_that_botocore_says(partition: Any) -> None:
    for region in partition["regions"]:
        if not region.endswith("-global"):
            found = partition_of(region)
            assert (found.name, found.dns) == (partition["id"], partition["outputs"]["dnsSuffix"])


def test_arns_and_hosts_are_those_of_the_region_s_partition() -> None:
    scope = Scope("123456789012", "cn-north-1")
    assert scope.arn("sagemaker", "model/m") == "arn:aws-cn:sagemaker:cn-north-1:123456789012:model/m"
    assert scope.registry == "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
    assert Scope("1", "us-gov-west-1").arn("ecr", "x") == "arn:aws-us-gov:ecr:us-gov-west-1:1:x"
    assert Scope("1", "eu-west-1").arn("ecr", "x") == "arn:aws:ecr:eu-west-1:1:x"


def test_the_web_console_is_that_of_the_region_s_partition() -> None:
    assert Scope("1", "eu-west-1").console == "eu-west-1.console.aws.amazon.com"
    assert Scope("1", "cn-north-1").console == "cn-north-1.console.amazonaws.cn"
    assert Scope("1", "us-gov-west-1").console == "us-gov-west-1.console.amazonaws-us-gov.com"
