"""The policies of what a deployment keeps its data in and reaches it by, which are no role's. Pure: `explain` prints
them beside the roles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.blueprint import Blueprint
from infra.roles import Statement, document


@dataclass(frozen=True)
class ResourcePolicy:
    """The policy of the resource `name`."""

    name: str
    description: str
    statements: tuple[Statement, ...]

    @property
    def policy(self) -> dict[str, Any]:
        """As AWS takes it."""
        return document(self.statements)


def bucket(blueprint: Blueprint) -> ResourcePolicy:
    """That of the deployment's bucket."""
    return ResourcePolicy(blueprint.bucket, "The bucket's policy", only_tls(blueprint.bucket_arn))


def only_tls(bucket_arn: str) -> tuple[Statement, ...]:
    """The statement of S3's guide by which a bucket takes no call that is not encrypted on its way
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html)."""
    return (
        Statement(
            "OnlyTls",
            ("s3:*",),
            (bucket_arn, f"{bucket_arn}/*"),
            "photos and models are read and written over TLS alone, whoever asks",
            {"Bool": {"aws:SecureTransport": "false"}},
            effect="Deny",
            principals=("*",),
        ),
    )


def s3_endpoint(blueprint: Blueprint) -> ResourcePolicy:
    """That of the gateway endpoint of S3 in the deployment's VPC. It grants nothing by itself: roles' policies must
    allow the same call. AWS's own buckets are those of "Amazon ECR interface VPC endpoints" in ECR's guide and of
    "Updating AL2023" in Amazon Linux's."""
    region = blueprint.settings.region
    of_aws = (f"prod-{region}-starport-layer-bucket/*", f"al2023-repos-{region}-de612dc2/*")
    statements = (
        Statement(
            "OwnBucket",
            ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
            (blueprint.bucket_arn, f"{blueprint.bucket_arn}/*"),
            "jobs, endpoints and hosts read and write the deployment's bucket; others cannot be reached from there",
            principals=("*",),
        ),
        Statement(
            "ReadFromAws",
            ("s3:GetObject",),
            tuple(blueprint.partition.arn("s3", bucket) for bucket in of_aws),
            "an EC2 host in these subnets pulls images, whose layers ECR keeps in a bucket of AWS, and the packages of "
            "Amazon Linux 2023, which are in another",
            principals=("*",),
        ),
    )
    return ResourcePolicy(f"S3 endpoint of {blueprint.settings.project}", "The gateway endpoint's policy", statements)


# By the word that a user gives to `explain`.
POLICIES: Mapping[str, Callable[[Blueprint], ResourcePolicy]] = {"bucket": bucket, "s3-endpoint": s3_endpoint}
