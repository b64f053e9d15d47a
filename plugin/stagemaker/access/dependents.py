"""The actions that a call needs besides its own: to pass a role, to tag what it makes, to act on another service. Pure,
but for what it looks up.

Sources: "Grant a user permissions to pass a role to an AWS service" of the IAM user guide; "Provide permissions for
tagging SageMaker AI resources" and "Auto scaling: prerequisites" of SageMaker's guide; "Identity-based policies" of the
guide of Application Auto Scaling; "Amazon ECR permissions" and "Deploying .zip file archives" of Lambda's guide. Not
asked: KMS, where a key is named, and EC2, where a VPC is.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stagemaker.access.call import Call, Lookup, Need
from stagemaker.access.condition_keys import request_tags
from stagemaker.access.resources import account_of, function_arn

PASS_ROLE = "iam:PassRole"  # noqa: S105 - an action
DEREGISTER = "application-autoscaling:DeregisterScalableTarget"
_ROLE = re.compile(r"arn:[^:]+:iam::[0-9]{12}:role/.+")
_ROLE_MEMBERS = ("role", "rolearn", "executionrole", "executionrolearn")
# Services that assume a role under a name that is not their prefix in IAM.
_PRINCIPALS: Mapping[str, str] = {"cloudwatch": "monitoring", "logs": "logs", "es": "opensearchservice"}
_NO_ROLES = ("iam", "sts", "s3control")  # their requests name roles without handing them over
_TAG_ACTIONS: Mapping[str, str] = {  # of what a call makes with tags
    "sagemaker": "sagemaker:AddTags",
    "ecr": "ecr:TagResource",
    "lambda": "lambda:TagResource",
    "logs": "logs:TagResource",
    "cloudwatch": "cloudwatch:TagResource",
    "application-autoscaling": "application-autoscaling:TagResource",
    "s3": "s3:TagResource",
}
_IAM_TAGS: Mapping[str, str] = {
    "CreateRole": "iam:TagRole",
    "CreateUser": "iam:TagUser",
    "CreatePolicy": "iam:TagPolicy",
    "CreateInstanceProfile": "iam:TagInstanceProfile",
}
# Operations of EC2 that give an instance the role of its profile: "Grant permissions to pass a role", EC2's user guide.
_PASSING = ("RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation")
_TO_EC2: Mapping[str, str] = {"iam:passedtoservice": "ec2.amazonaws.com"}
_IMAGE = ("BatchGetImage", "GetDownloadUrlForLayer")
_SCALED: Mapping[str, Sequence[str]] = {  # by service namespace: what Application Auto Scaling asks of the caller
    "sagemaker": ("DescribeEndpoint", "UpdateEndpointWeightsAndCapacities"),
    "lambda": (
        "GetProvisionedConcurrencyConfig",
        "PutProvisionedConcurrencyConfig",
        "DeleteProvisionedConcurrencyConfig",
    ),
}


@dataclass(frozen=True)
class Dependent:
    """`keys` are the condition keys of this action alone."""

    need: Need
    keys: Mapping[str, str]


def dependents_of(call: Call, needs: Sequence[Need], lookup: Lookup) -> Iterator[Dependent]:
    """What the call needs besides `needs`, its own actions."""
    about = needs[0].arn if needs else "*"
    yield from _roles(call, about)
    for one in _tagging(call, needs):
        yield Dependent(one, {})
    if call.service == "application-autoscaling":
        yield from (Dependent(one, {}) for one in _scaling(call, lookup))
    if call.service == "lambda" and call.operation in ("CreateFunction", "UpdateFunctionCode"):
        yield from (Dependent(one, {}) for one in image_needs(call, lookup))
    if call.service == "lambda" and (code := _code_need(call, lookup)):
        yield Dependent(code, {})
    if call.service == "ec2" and call.operation in _PASSING:
        role = lookup.instance_role_arn(call.members, call.account, call.region)
        if role is not None:
            yield Dependent(Need(PASS_ROLE, role, account_of(role) or call.account), _TO_EC2)
    if call.service == "sagemaker" and call.operation == "DeleteEndpoint":
        for arn in lookup.scalable_targets(about):
            yield Dependent(Need(DEREGISTER, arn, call.account), {})


def image_needs(call: Call, lookup: Lookup) -> Iterator[Need]:
    """What Lambda needs of the repository of a function's image: the caller and Lambda itself must be allowed."""
    code = call.members.get("Code")
    image = code.get("ImageUri") if isinstance(code, Mapping) else call.members.get("ImageUri")
    arn = lookup.repository_arn(image, call.account, call.region) if isinstance(image, str) else None
    if arn is not None:
        for name in _IMAGE:
            yield Need(f"ecr:{name}", arn, account_of(arn) or call.account)


def _code_need(call: Call, lookup: Lookup) -> Need | None:
    """Lambda reads the code of a function or a layer from S3 with the rights of its caller."""
    inside = call.members.get("Code") or call.members.get("Content")
    code = inside if isinstance(inside, Mapping) else call.members
    bucket, key = code.get("S3Bucket"), code.get("S3Key")
    if not isinstance(bucket, str) or not isinstance(key, str):
        return None
    action = "s3:GetObjectVersion" if code.get("S3ObjectVersion") else "s3:GetObject"
    return Need(action, f"arn:{call.partition}:s3:::{bucket}/{key}", lookup.bucket_owner(bucket) or call.account)


def _roles(call: Call, about: str) -> Iterator[Dependent]:
    """iam:PassRole for each role that the request hands over."""
    if call.prefix in _NO_ROLES or call.operation.startswith(("Describe", "List", "Get", "Delete", "Assume")):
        return
    service = f"{_PRINCIPALS.get(call.prefix, call.prefix)}.amazonaws.com"
    for arn in dict.fromkeys(_role_arns(call)):
        if _is_service_linked(arn):
            continue
        keys = {"iam:passedtoservice": service, **({"iam:associatedresourcearn": about} if about != "*" else {})}
        yield Dependent(Need(PASS_ROLE, arn, account_of(arn) or call.account), keys)


def _role_arns(call: Call) -> Iterator[str]:
    for name, values in call.leaves.items():
        if name in _ROLE_MEMBERS:
            yield from (value for value in values if isinstance(value, str) and _ROLE.fullmatch(value))


def _is_service_linked(arn: str) -> bool:
    """Whether only an AWS service can have it: nobody passes it."""
    return ":role/aws-service-role/" in arn


def _tagging(call: Call, needs: Sequence[Need]) -> Iterator[Need]:
    """The right to tag, for what a call makes with tags."""
    is_made = call.operation.startswith(("Create", "Register", "PutMetricAlarm", "PutCompositeAlarm"))
    if not is_made or not needs or not request_tags(call):
        return
    name = _IAM_TAGS.get(call.operation) if call.prefix == "iam" else _TAG_ACTIONS.get(call.prefix)
    if name is not None and (call.prefix != "s3" or call.operation == "CreateBucket"):
        yield Need(name, needs[0].arn.removesuffix(":log-stream:"), needs[0].account)


def _scaling(call: Call, lookup: Lookup) -> Iterator[Need]:
    """The rights on what is scaled and on its alarms."""
    namespace, resource = str(call.members.get("ServiceNamespace")), str(call.members.get("ResourceId"))
    if call.operation == "RegisterScalableTarget" and namespace in _SCALED:
        if namespace == "lambda":
            arn, qualifier = function_arn(call, resource, None)
            arn = f"{arn}:{qualifier}" if qualifier else arn
        else:
            arn = call.arn("sagemaker", "/".join(resource.split("/")[:2]).lower())
        for name in _SCALED[namespace]:
            yield Need(f"{namespace}:{name}", arn, call.account)
        if namespace == "sagemaker" and (config := lookup.endpoint_config_arn(arn)):
            yield Need("sagemaker:DescribeEndpointConfig", config, call.account)
    alarm = call.arn("cloudwatch", f"alarm:TargetTracking-{resource}")
    if call.operation == "PutScalingPolicy" and call.members.get("PolicyType") == "TargetTrackingScaling":
        for name in ("PutMetricAlarm", "DescribeAlarms"):
            yield Need(f"cloudwatch:{name}", alarm, call.account)
    if call.operation == "DeleteScalingPolicy":
        yield Need("cloudwatch:DeleteAlarms", alarm, call.account)
