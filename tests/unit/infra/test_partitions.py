"""ARNs and addresses in each partition of AWS."""

import pytest

from infra.blueprint import Blueprint, registry_host
from infra.partitions import Partition, of_region
from infra.settings import DeploymentSettings

REGIONS = [
    ("us-east-1", "aws", "amazonaws.com"),
    ("eu-central-2", "aws", "amazonaws.com"),
    ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
    ("eu-moon-9", "aws", "amazonaws.com"),  # as a new region of the largest partition would be
    ("zz-moon-9", "aws", "amazonaws.com"),
]


@pytest.mark.parametrize(("region", "name", "suffix"), REGIONS)
def test_the_partition_of_a_region(region: str, name: str, suffix: str) -> None:
    assert of_region(region) == Partition(name, suffix)


@pytest.mark.parametrize(("region", "name", "suffix"), REGIONS)
def test_every_name_of_a_blueprint_is_of_its_partition(region: str, name: str, suffix: str) -> None:
    blueprint = Blueprint(DeploymentSettings(region=region), "123456789012", "00")
    assert blueprint.arn("logs", "log-group:a") == f"arn:{name}:logs:{region}:123456789012:log-group:a"
    assert blueprint.role_arn("training") == f"arn:{name}:iam::123456789012:role/stagemaker-demo-training-{region}"
    assert blueprint.bucket_arn == f"arn:{name}:s3:::stagemaker-demo-123456789012-{region}"
    assert registry_host("123456789012", region) == f"123456789012.dkr.ecr.{region}.{suffix}"


def test_what_the_services_are_called_in_a_trust() -> None:
    china, others = of_region("cn-north-1"), of_region("us-gov-east-1")
    assert [china.principal(name) for name in ("sagemaker", "lambda", "ec2")] == [
        "sagemaker.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com.cn",
    ]  # fmt: skip
    assert others.principal("ec2") == "ec2.amazonaws.com"


def test_the_pages_of_the_console() -> None:
    regions = ("eu-west-1", "cn-north-1", "us-gov-west-1")
    assert [of_region(region).console(region, "cloudwatch/home") for region in regions] == [
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1",
        "https://cn-north-1.console.amazonaws.cn/cloudwatch/home?region=cn-north-1",
        "https://us-gov-west-1.console.amazonaws-us-gov.com/cloudwatch/home?region=us-gov-west-1",
    ]
