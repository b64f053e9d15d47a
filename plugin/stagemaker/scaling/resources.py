"""Pure: what Application Auto Scaling can scale here, how its requests name it, and the records that belong to it."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagemaker.api.operation import Request
from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import SCALABLE_TARGET, SCALING_POLICY, SCHEDULED_ACTION
from stagemaker.core.refs import Ref, Scope, partition_of
from stagemaker.core.store import Store

VARIANT = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED = "sagemaker:variant:DesiredProvisionedConcurrency"  # of a serverless variant
FUNCTION = "lambda:function:ProvisionedConcurrency"
OF_VARIANTS = (VARIANT, PROVISIONED)
LATEST = "$LATEST"  # the qualifier that has no provisioned concurrency


@dataclass(frozen=True)
class Dimension:
    """What is scaled of a resource. `noun` is its word in an activity; `role` the role that AWS acts under."""

    service: str
    resource_id: re.Pattern[str]
    noun: str
    role: str
    metrics: tuple[str, ...]  # the predefined ones of target tracking
    cooldown_s: int  # of target tracking, where the policy names none
    takes_steps: bool  # whether it takes StepScaling


# AWS source: "Service-linked roles", "Predefined metrics" and "Step scaling policies" in the guide of Application Auto
# Scaling; for the cooldown TargetTrackingScalingPolicyConfiguration in its API reference.
DIMENSIONS: Mapping[str, Dimension] = {
    VARIANT: Dimension(
        "sagemaker",
        re.compile(r"endpoint/([^/]+)/variant/([^/]+)"),
        "desired instance count",
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        ("SageMakerVariantInvocationsPerInstance", "SageMakerVariantConcurrentRequestsPerModelHighResolution"),
        300,
        True,
    ),
    PROVISIONED: Dimension(
        "sagemaker",
        re.compile(r"endpoint/([^/]+)/variant/([^/]+)"),
        "desired provisioned concurrency",
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint",
        ("SageMakerVariantProvisionedConcurrencyUtilization",),
        300,  # (ours) as of other variants: AWS names none for this dimension
        True,
    ),
    FUNCTION: Dimension(
        "lambda",
        re.compile(r"function:([^:]+):([^:]+)"),
        "desired concurrency",
        "AWSServiceRoleForApplicationAutoScaling_LambdaConcurrency",
        ("LambdaProvisionedConcurrencyUtilization",),
        0,
        False,
    ),
}
_SERVICES = {dimension.service for dimension in DIMENSIONS.values()}


@dataclass(frozen=True)
class ScalableResource:
    """One dimension of one resource: what a scalable target is about."""

    service: str
    id: str
    dimension: str

    @property
    def kind(self) -> Dimension:
        """The row of DIMENSIONS."""
        return DIMENSIONS[self.dimension]

    @property
    def parts(self) -> tuple[str, str]:
        """Endpoint and variant, or function and qualifier."""
        found = self.kind.resource_id.fullmatch(self.id)
        if found is None:
            raise unknown_resource()
        return found[1], found[2]

    @property
    def members(self) -> dict[str, str]:
        """As requests, records and answers have it."""
        return {"ServiceNamespace": self.service, "ResourceId": self.id, "ScalableDimension": self.dimension}

    def target(self, scope: Scope) -> Ref:
        """The record of its scalable target. The ARN of one resource is always the same (ours)."""
        return Ref(scope, SCALABLE_TARGET, _digest(*self.members.values()))

    def policy(self, scope: Scope, name: str) -> Ref:
        """The record of one of its policies."""
        return Ref(scope, SCALING_POLICY, self._named(scope, "policyName", name))

    def action(self, scope: Scope, name: str) -> Ref:
        """The record of one of its scheduled actions."""
        return Ref(scope, SCHEDULED_ACTION, self._named(scope, "scheduledActionName", name))

    def role_arn(self, scope: Scope) -> str:
        """Of the service-linked role: AWS takes it, whatever the caller names."""
        service = f"{self.service}.application-autoscaling.amazonaws.com"
        return f"arn:{partition_of(scope.region).name}:iam::{scope.account}:role/aws-service-role/{service}/" + (
            self.kind.role
        )

    def _named(self, scope: Scope, kind: str, name: str) -> str:
        key = uuid_of(scope.account, scope.region, *self.members.values(), kind, name)
        return f"{key}:resource/{self.service}/{self.id}:{kind}/{name}"

    def __str__(self) -> str:
        """As AWS's sentences name it."""
        return f"service namespace: {self.service}, resource ID: {self.id}, scalable dimension: {self.dimension}"


def resource_of(members: Mapping[str, Any]) -> ScalableResource:
    """What a request or a record names with ServiceNamespace, ResourceId and ScalableDimension.

    NotImplementedException (501) for a service or a dimension that is not scaled here; ValidationException, in AWS's
    words, where the three do not belong together."""
    check_service(members)
    resource = ScalableResource(members["ServiceNamespace"], members["ResourceId"], members["ScalableDimension"])
    if resource.dimension.partition(":")[0] != resource.service:
        raise unknown_resource()
    if resource.dimension not in DIMENSIONS:
        raise not_supported(f"the scalable dimension {resource.dimension}")
    if resource.kind.resource_id.fullmatch(resource.id) is None:
        raise unknown_resource()
    if resource.dimension == FUNCTION and resource.parts[1] == LATEST:
        raise validation_error(f"{LATEST} is not a supported qualifier for Auto Scaling")
    return resource


def target_of(scope: Scope, request: Request) -> tuple[str, ...]:
    """The ARN of the scalable target that a request is about."""
    resource = ScalableResource(request["ServiceNamespace"], request["ResourceId"], request["ScalableDimension"])
    return (resource.target(scope).arn,)


def check_service(request: Request) -> None:
    """NotImplementedException (501) for a ServiceNamespace of which nothing is scaled here."""
    if (service := request["ServiceNamespace"]) not in _SERVICES:
        raise not_supported(f"the service namespace {service} of Application Auto Scaling")


def unknown_resource() -> ApiError:
    """AWS's answer where namespace, resource and dimension do not belong together."""
    return validation_error("Unsupported service namespace, resource type or scalable dimension")


def uuid_of(*parts: str) -> str:
    """In the form of a UUID, the same for the same parts."""
    digest = _digest(*parts)[:32]
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:36]


def is_registered(store: Store, endpoint: Ref, variant: str) -> bool:
    """Whether a variant of an endpoint has a scalable target, for its instances or its provisioned concurrency."""
    name = f"endpoint/{endpoint.name}/variant/{variant}"
    resources = [ScalableResource("sagemaker", name, dimension) for dimension in OF_VARIANTS]
    return any(store.get(resource.target(endpoint.scope)) is not None for resource in resources)
