"""The policies of what a deployment keeps its data in and reaches it by, which are no role's: that of the bucket. Pure.
`explain` prints them beside the roles."""

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


# By the word that a user gives to `explain`.
POLICIES: Mapping[str, Callable[[Blueprint], ResourcePolicy]] = {"bucket": bucket}
