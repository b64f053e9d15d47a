"""One call of an AWS operation, as the questions about it are made from it. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from stagemaker.access.callers import Caller

NO_RESOURCE = "*"


@dataclass(frozen=True)
class Circumstances:
    """How a request came. `headers` have names in lower case; `signed_s` is the moment of the signature (0: none)."""

    time_s: float
    user_agent: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    is_presigned: bool = False
    signed_s: float = 0.0
    source_account: str = ""  # of a service that calls for a resource: aws:SourceAccount and aws:SourceArn
    source_arn: str = ""


@dataclass(frozen=True)
class Call:
    """`service` is botocore's name and `prefix` IAM's. `members` are those of the request, and `shape` is botocore's of
    them. `resources` are the ARNs that the operation says it is about; None: the questions find them."""

    service: str
    prefix: str
    operation: str
    members: Mapping[str, Any]
    shape: Any
    account: str
    region: str
    partition: str
    circumstances: Circumstances
    resources: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """As `because` of a question has it."""
        return f"{self.prefix}:{self.operation}"

    @cached_property
    def leaves(self) -> dict[str, list[str | int | float]]:
        """The texts, numbers and booleans of the request by the names of their members in lower case, in whatever
        depth. Not those of maps, where the caller chooses the names."""
        found: dict[str, list[str | int | float]] = {}
        waiting: list[tuple[str, Any, Any]] = [("", self.members, self.shape)]
        for name, value, shape in waiting:  # grows while it is read
            if shape is None:
                continue
            if isinstance(value, (str, int, float)):
                found.setdefault(name.lower(), []).append(value)
            elif shape.type_name == "structure":
                members = shape.members
                waiting.extend((key, inner, members.get(key)) for key, inner in value.items())
            elif shape.type_name == "list":
                waiting.extend((name, item, shape.member) for item in value)
        return found

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Of a resource in the caller's account and region."""
        place = self.region if region is None else region
        return f"arn:{self.partition}:{service}:{place}:{self.account}:{resource}"


@dataclass(frozen=True)
class Need:
    """An action and the resource that it is about, with the account that owns it."""

    action: str
    arn: str
    account: str


@dataclass(frozen=True)
class VpcEndpoint:
    """A gateway endpoint as it is now; `policy` is the JSON text of its policy."""

    id: str
    vpc_id: str
    policy: str


class Lookup(Protocol):
    """What the stage knows of resources and of callers. Thread-safe; all of it is read anew for each request."""

    def principal_tags(self, caller: Caller) -> Mapping[str, str]:
        """Of the user, or of the role and its session."""
        ...

    def s3_endpoint(self, caller: Caller) -> VpcEndpoint | None:
        """The gateway endpoint that the caller's requests to S3 go through; None where they go through none."""
        ...

    def resource_tags(self, arn: str, account: str) -> Mapping[str, str]:
        """Of a resource; nothing where the stage does not know."""
        ...

    def object_tags(self, bucket: str, key: str, version: str | None) -> Mapping[str, str]:
        """Of an object in S3."""
        ...

    def bucket_owner(self, bucket: str) -> str | None:
        """The account of a bucket that exists."""
        ...

    def has_object(self, bucket: str, key: str) -> bool:
        """Whether there is such an object now."""
        ...

    def iam_path(self, account: str, kind: str, name: str) -> str:
        """The path of a user, group, role or instance profile, `/` for one that there is not."""
        ...

    def iam_boundary(self, account: str, kind: str, name: str) -> str | None:
        """The ARN of the permissions boundary of a user or role."""
        ...

    def scalable_targets(self, endpoint_arn: str) -> Sequence[str]:
        """The ARNs of the scalable targets of an endpoint's variants."""
        ...

    def endpoint_config_arn(self, endpoint_arn: str) -> str | None:
        """Of the configuration that an endpoint has."""
        ...

    def instance_role_arn(self, members: Mapping[str, Any], account: str, region: str) -> str | None:
        """The role of the instance profile that a request of EC2 names, itself or by its launch template."""
        ...

    def repository_arn(self, image_uri: str, account: str, region: str) -> str | None:
        """The ECR repository that an image's name means, or None for another registry."""
        ...
