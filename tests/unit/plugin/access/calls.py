"""Calls as they reach the questions, with botocore's own models, and what the stage would look up for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore.session import Session

from stagemaker.access.call import Call, Circumstances, VpcEndpoint
from stagemaker.access.callers import Caller
from stagemaker.access.request import Principal

ACCOUNT, REGION = "111122223333", "eu-west-1"
USER = Caller(
    Principal(f"arn:aws:iam::{ACCOUNT}:user/team/ann"), "AKIA1", "AIDA1", user_name="ann", source_ip="192.0.2.1"
)
SESSION = Caller(
    Principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/job/s", f"arn:aws:iam::{ACCOUNT}:role/team/job"),
    "ASIA1",
    "AROA1:s",
    issued_s=1_700_000_000.0,
)
_SESSION = Session()
_PREFIXES = {"cloudwatch": "cloudwatch", "resourcegroupstaggingapi": "tag"}


@dataclass
class FixedLookup:
    """A Lookup that knows what a test says."""

    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # by ARN; of callers under "principal"
    objects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # the tags of each, by bucket/key
    owners: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)  # by kind/name
    boundaries: Mapping[str, str] = field(default_factory=dict)
    targets: Sequence[str] = ()
    config: str | None = None
    repositories: Mapping[str, str] = field(default_factory=dict)  # ARN by image
    gateways: Mapping[str, VpcEndpoint] = field(default_factory=dict)  # by subnet

    def principal_tags(self, _caller: Caller) -> Mapping[str, str]:
        """Those under "principal"."""
        return self.tags.get("principal", {})

    def s3_endpoint(self, caller: Caller) -> VpcEndpoint | None:
        """By the caller's subnet."""
        return self.gateways.get(caller.subnet)

    def resource_tags(self, arn: str, _account: str) -> Mapping[str, str]:
        """By ARN."""
        return self.tags.get(arn, {})

    def object_tags(self, bucket: str, key: str, _version: str | None) -> Mapping[str, str]:
        """By bucket and key."""
        return self.objects.get(f"{bucket}/{key}", {})

    def bucket_owner(self, bucket: str) -> str | None:
        """By name."""
        return self.owners.get(bucket)

    def has_object(self, bucket: str, key: str) -> bool:
        """Whether its tags are known."""
        return f"{bucket}/{key}" in self.objects

    def iam_path(self, _account: str, kind: str, name: str) -> str:
        """By kind and name."""
        return self.paths.get(f"{kind}/{name}", "/")

    def iam_boundary(self, _account: str, kind: str, name: str) -> str | None:
        """By kind and name."""
        return self.boundaries.get(f"{kind}/{name}")

    def scalable_targets(self, _endpoint_arn: str) -> Sequence[str]:
        """All of them."""
        return self.targets

    def endpoint_config_arn(self, _endpoint_arn: str) -> str | None:
        """The one."""
        return self.config

    def instance_role_arn(self, members: Mapping[str, Any], _account: str, _region: str) -> str | None:
        return "arn:aws:iam::000000000000:role/host" if members.get("IamInstanceProfile") else None

    def repository_arn(self, image_uri: str, _account: str, _region: str) -> str | None:
        """By image."""
        return self.repositories.get(image_uri)


@cache
def model(service: str) -> Any:
    """Botocore's, of a service."""
    return _SESSION.get_service_model(service)


def call(service: str, operation: str, resources: Sequence[str] | None = None, **members: Any) -> Call:
    """A call of the account in the region, at 2026-11-27T05:00:00Z."""
    found = model(service)
    how = Circumstances(1_795_755_600.0, user_agent="Boto3")
    prefix = _PREFIXES.get(service, found.signing_name)
    shape = found.operation_model(operation).input_shape
    return Call(service, prefix, operation, members, shape, ACCOUNT, REGION, "aws", how, resources)
