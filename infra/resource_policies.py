"""The policies of what a deployment keeps its data in and reaches it by, which are no role's. Pure: `explain` prints
them beside the roles."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.blueprint import Blueprint, endpoint_logs
from infra.ec2.settings import Ec2Settings
from infra.roles import FOR_AWS, Conditions, Statement, data_key_of_another, data_of_another, document, spot_role


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
        *data_of_another(blueprint, "the photos lie in another account's bucket", ("*",)),
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


def data_bucket(blueprint: Blueprint, caller: str = "") -> ResourcePolicy:
    """The one that the owner of the photos attaches to their bucket, where they are another account's: the roles that
    read them, the deployer's, and `caller`, the ARN of who calls AWS now. Without such a bucket it has no statement.

    It names the deployment's account, and its roles in a condition: S3 takes no policy that names a role which is not
    there yet, and forgets one that is made anew
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html)."""
    reason = "the deployment reads the photos and changes nothing"
    statements = data_of_another(blueprint, reason, (_root(blueprint),), _readers(blueprint, caller))
    name = blueprint.settings.data.bucket if blueprint.settings.data else ""
    return ResourcePolicy(name, "The policy that its owner, another account, attaches to the data's bucket", statements)


def data_key(blueprint: Blueprint, caller: str = "") -> ResourcePolicy:
    """What the policy of the key that encrypts these photos must say besides: who reads them may decrypt them, by S3
    alone. Without such a key it has no statement. `caller` and who is named are as in `data_bucket`."""
    reason = "the deployment reads the photos, which this key encrypts"
    statements = data_key_of_another(blueprint, reason, (_root(blueprint),), _readers(blueprint, caller))
    name = blueprint.settings.data.kms_key_arn if blueprint.settings.data else ""
    return ResourcePolicy(name, "What the policy of the photos' key, another account's, must say besides", statements)


def _root(blueprint: Blueprint) -> str:
    return blueprint.partition.arn("iam", "root", account=blueprint.account)


def _readers(blueprint: Blueprint, caller: str) -> Conditions:
    purposes = ("training", *(("ec2",) if blueprint.settings.ec2 else ()))
    readers = [blueprint.role_arn(purpose) for purpose in purposes]
    readers += [one for one in (blueprint.role_arn("deployer"), *_identities(caller)) if one not in readers]
    return {"ArnLike": {"aws:PrincipalArn": readers}}


def key(blueprint: Blueprint) -> ResourcePolicy:
    """What the policy of the settings' key must say besides what a new key's does: who uses the key in a name of its
    own, so that no policy of a role can let it. Without a key it has no statement."""
    encryption, host = blueprint.settings.encryption, blueprint.settings.ec2
    if encryption is None:
        return ResourcePolicy("", "", ())
    statements = (_logs_use_key(blueprint), *_spot_uses_key(blueprint, host))
    name = blueprint.key or encryption.key
    return ResourcePolicy(name, "What the policy of this key must say besides what it says", statements)


def _logs_use_key(blueprint: Blueprint) -> Statement:
    """The statement of "Encrypt log data in CloudWatch Logs using AWS KMS" in the guide of CloudWatch Logs."""
    region = blueprint.settings.region
    groups = [endpoint_logs(f"{blueprint.settings.project}*"), blueprint.function_logs]
    of_groups = [blueprint.arn("logs", f"log-group:{group}") for group in groups]
    return Statement(
        "EncryptLogs",
        ("kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"),
        ("*",),
        "CloudWatch Logs encrypts the log groups of endpoints and function in its own name, and else refuses the key",
        {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": of_groups}},
        principals=(f"logs.{region}.{blueprint.partition.dns_suffix}",),
    )


def _spot_uses_key(blueprint: Blueprint, host: Ec2Settings | None) -> tuple[Statement, ...]:
    """What lets EC2 launch a spot instance whose volume has the key: "Grant access to customer managed keys for use
    with encrypted AMIs and EBS snapshots" in the EC2 guide has the actions, as those of a grant."""
    if host is None or host.market != "spot":
        return ()
    role = (spot_role(blueprint),)
    reason = "EC2 launches spot instances under this role of its own, whose volumes have the key"
    return (
        Statement(
            "EncryptSpotVolumes",
            (
                "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey",
            ),
            ("*",),
            f"{reason}; an account that never had one makes it first: `aws iam create-service-linked-role "
            "--aws-service-name spot.amazonaws.com`",
            principals=role,
        ),
        Statement(
            "LetSpotVolumesUseKey", ("kms:CreateGrant",), ("*",), f"{reason}, by a grant for AWS alone", FOR_AWS,
            principals=role,
        ),
    )  # fmt: skip


def _identities(caller: str) -> tuple[str, ...]:
    """Patterns of aws:PrincipalArn for the ARN of a caller, which tells of a role's session no path."""
    service, _, resource = caller.rpartition(":")
    if not resource.startswith("assumed-role/"):
        return (caller,) if caller else ()
    role, account = resource.split("/")[1], service.split(":")
    begin = ":".join([*account[:2], "iam", *account[3:]])
    return (f"{begin}:role/{role}", f"{begin}:role/*/{role}")


def of_others(blueprint: Blueprint, caller: str = "") -> dict[str, ResourcePolicy]:
    """Those that no deployment puts in place, by their words in POLICIES: the owner of the bucket or of the key does.
    Only those that the settings need. `caller` is as in `data_bucket`."""
    every = {
        "data-bucket": data_bucket(blueprint, caller),
        "data-key": data_key(blueprint, caller),
        "key": key(blueprint),
    }
    return {name: one for name, one in every.items() if one.statements}


# By the word that a user gives to `explain`.
POLICIES: Mapping[str, Callable[[Blueprint], ResourcePolicy]] = {
    "bucket": bucket,
    "s3-endpoint": s3_endpoint,
    "data-bucket": data_bucket,
    "data-key": data_key,
    "key": key,
}
