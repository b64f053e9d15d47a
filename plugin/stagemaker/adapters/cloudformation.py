"""CloudFormation's resources of SageMaker and ECR: what the stage executes is made, all else is refused by name.

LocalStack says CREATE_COMPLETE for a type that it does not know, and its own AWS::ECR::Repository makes nothing. Each
kind here calls our operations. AWS source: the types' pages in the CloudFormation Template Reference, for what Ref and
Fn::GetAtt give and which property is changed in place; every other change replaces the resource.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from botocore.model import Shape
from localstack.aws.spec import load_service
from localstack.services.cloudformation.provider_utils import generate_default_name
from localstack.services.cloudformation.resource_provider import (
    OperationStatus,
    ProgressEvent,
    ResourceProvider,
    ResourceRequest,
)

from stagemaker.api.unsupported import not_supported

OURS = ("AWS::SageMaker::", "AWS::ECR::")
NOT_FOUND = ("ValidationException", "RepositoryNotFoundException", "ResourceNotFound")  # of a Describe or a Delete
UPDATE_ONLY = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")

Properties = dict[str, Any]
Event = ProgressEvent[Properties]


def provider_of(resource_type: str) -> "ResourceProvider[Properties] | None":
    """The provider of a type of SageMaker or ECR; None for the types of other services."""
    if not resource_type.startswith(OURS):
        return None
    make = _PROVIDERS.get(resource_type)
    return make() if make else _Refused(resource_type)


@dataclass(frozen=True)
class _Kind:
    """`noun` begins the API's members: Model, ModelName. `in_place` are the properties that need no replacement."""

    noun: str
    in_place: tuple[str, ...] = ("Tags",)

    @property
    def name(self) -> str:
        return f"{self.noun}Name"

    @property
    def word(self) -> str:
        """Of the methods of boto3's client: `create_endpoint_config`."""
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in self.noun)[1:]

    def shape(self, verb: str) -> Shape:
        return load_service("sagemaker").operation_model(f"{verb}{self.noun}").input_shape


class _SageMaker(ResourceProvider[Properties]):
    """A resource that is there when its Create has answered. Ref gives its ARN, GetAtt its name."""

    def __init__(self, kind: _Kind) -> None:
        self.kind = kind
        members = kind.shape("Create").members
        self.SCHEMA = {
            "primaryIdentifier": ["/properties/Id"],
            "createOnlyProperties": [f"/properties/{name}" for name in members if name not in kind.in_place],
        }

    def create(self, request: ResourceRequest[Properties]) -> Event:
        """Make the resource; under a name of CloudFormation's where the template has none."""
        model, shape = request.desired_state, self.kind.shape("Create")
        _refuse_unknown(request, {*shape.members, *self.kind.in_place})
        model.setdefault(self.kind.name, generate_default_name(request.stack_name, request.logical_resource_id))
        answer = self._call(request, "create", fitted(shape, model))
        return _done({**model, "Id": answer[f"{self.kind.noun}Arn"]})

    def update(self, request: ResourceRequest[Properties]) -> Event:
        """Change the tags: nothing else of a model or a configuration can be changed in place."""
        model, old = _merged(request, self.kind.name, "Id"), request.previous_state or {}
        _change_tags(request.aws_client_factory.sagemaker, model["Id"], old, model)
        return _done(model)

    def delete(self, request: ResourceRequest[Properties]) -> Event:
        """Delete the resource; one that is not there is no error."""
        self._delete(request)
        return _done({})

    def _delete(self, request: ResourceRequest[Properties]) -> None:
        name = request.desired_state.get(self.kind.name)
        if name and self._describe(request, name) is not None:
            self._call(request, "delete", {self.kind.name: name})

    def _describe(self, request: ResourceRequest[Properties], name: str) -> Mapping[str, Any] | None:
        try:
            return self._call(request, "describe", {self.kind.name: name})
        except ClientError as error:
            if error.response["Error"]["Code"] in NOT_FOUND:
                return None
            raise

    def _call(self, request: ResourceRequest[Properties], verb: str, members: Mapping[str, Any]) -> Mapping[str, Any]:
        client = request.aws_client_factory.sagemaker
        answer: Mapping[str, Any] = getattr(client, f"{verb}_{self.kind.word}")(**members)
        return answer


class _Endpoint(_SageMaker):
    """An endpoint is there when it is InService, and gone when all of it has stopped: CloudFormation asks again."""

    def create(self, request: ResourceRequest[Properties]) -> Event:
        """Make the endpoint and wait for it. One that fails is deleted, and its reason is the resource's."""
        model = request.desired_state
        if "Id" not in model:
            return _again(super().create(request).resource_model or {})
        endpoint = self._describe(request, model["EndpointName"]) or {}
        if endpoint.get("EndpointStatus") == "Creating":
            return _again(model)
        if endpoint.get("EndpointStatus") == "InService":
            return _done(model)
        self._delete(request)
        return _failed(endpoint.get("FailureReason", "The endpoint was deleted while it was made."))

    def update(self, request: ResourceRequest[Properties]) -> Event:
        """Move to another configuration without replacement; when that fails, the old one serves on."""
        old = request.previous_state or {}
        model = _merged(request, "EndpointName", "Id")
        if not request.custom_context.get("updating"):
            _change_tags(request.aws_client_factory.sagemaker, model["Id"], old, model)
            if model["EndpointConfigName"] == (self._describe(request, model["EndpointName"]) or {}).get(
                "EndpointConfigName"
            ):  # as it is, or as it stayed after an update that failed
                return _done(model)
            self._call(request, "update", fitted(self.kind.shape("Update"), model))
            return _again(model, updating=True)
        endpoint = self._describe(request, model["EndpointName"]) or {}
        if endpoint.get("EndpointStatus") == "Updating":
            return _again(model, updating=True)
        if endpoint.get("EndpointConfigName") == model["EndpointConfigName"]:
            return _done(model)
        return _failed(endpoint.get("FailureReason", "The endpoint kept its former configuration."))

    def delete(self, request: ResourceRequest[Properties]) -> Event:
        """Delete the endpoint and wait until it is gone."""
        model = request.desired_state
        name = model.get("EndpointName")
        endpoint = self._describe(request, name) if name else None
        if endpoint is None:
            return _done({})
        if endpoint["EndpointStatus"] in ("InService", "Failed", "OutOfService"):
            self._delete(request)
        return _again(model)  # also while it is created or updated: only then can it be deleted


class _Repository(ResourceProvider[Properties]):
    """AWS::ECR::Repository. Ref gives its name, GetAtt Arn and RepositoryUri."""

    SCHEMA = {  # noqa: RUF012 - as the base class has it
        "primaryIdentifier": ["/properties/RepositoryName"],
        "createOnlyProperties": ["/properties/RepositoryName", "/properties/EncryptionConfiguration"],
    }
    OF_CREATE = (
        "RepositoryName", "Tags", "ImageTagMutability", "ImageTagMutabilityExclusionFilters",
        "ImageScanningConfiguration", "EncryptionConfiguration",
    )  # fmt: skip
    AFTER = ("LifecyclePolicy", "RepositoryPolicyText", "EmptyOnDelete")
    ANSWERED = ("Arn", "RepositoryUri")

    def create(self, request: ResourceRequest[Properties]) -> Event:
        """Make the repository and its policies; when one is refused, nothing is left."""
        model, ecr = request.desired_state, request.aws_client_factory.ecr
        _refuse_unknown(request, {*self.OF_CREATE, *self.AFTER})
        default = generate_default_name(request.stack_name, request.logical_resource_id).lower()
        model.setdefault("RepositoryName", default)
        shape = load_service("ecr").operation_model("CreateRepository").input_shape
        made = ecr.create_repository(**fitted(shape, {key: model[key] for key in self.OF_CREATE if key in model}))
        try:
            self._set_policies(ecr, model["RepositoryName"], {}, model)
        except ClientError:
            ecr.delete_repository(repositoryName=model["RepositoryName"], force=True)
            raise
        repository = made["repository"]
        return _done({**model, "Arn": repository["repositoryArn"], "RepositoryUri": repository["repositoryUri"]})

    def update(self, request: ResourceRequest[Properties]) -> Event:
        """Change what a repository can change: policies, mutability of tags, scanning, tags."""
        old, ecr = request.previous_state or {}, request.aws_client_factory.ecr
        model = _merged(request, "RepositoryName", *self.ANSWERED)
        name = {"repositoryName": model["RepositoryName"]}
        if _differs(old, model, "ImageTagMutability", "ImageTagMutabilityExclusionFilters"):
            shape = load_service("ecr").operation_model("PutImageTagMutability").input_shape
            ecr.put_image_tag_mutability(**fitted(shape, {"ImageTagMutability": "MUTABLE", **model}))
        if _differs(old, model, "ImageScanningConfiguration"):
            shape = load_service("ecr").operation_model("PutImageScanningConfiguration").input_shape
            scanning = {"ImageScanningConfiguration": {"ScanOnPush": False}}
            ecr.put_image_scanning_configuration(**fitted(shape, {**scanning, **model}))
        self._set_policies(ecr, model["RepositoryName"], old, model)
        removed, added = _tag_changes(old, model)
        if removed:
            ecr.untag_resource(resourceArn=model["Arn"], tagKeys=removed)
        if added:
            ecr.tag_resource(resourceArn=model["Arn"], tags=added)
        return _done({**model, "RepositoryName": name["repositoryName"]})

    def delete(self, request: ResourceRequest[Properties]) -> Event:
        """Delete the repository, with its images only under EmptyOnDelete; one that is not there is no error."""
        model = request.desired_state
        ecr = request.aws_client_factory.ecr
        try:
            force = str(model.get("EmptyOnDelete", False)).lower() == "true"
            ecr.delete_repository(repositoryName=model["RepositoryName"], force=force)
        except (KeyError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] not in NOT_FOUND:
                raise
        return _done({})

    def _set_policies(self, ecr: Any, name: str, old: Properties, model: Properties) -> None:
        if _differs(old, model, "RepositoryPolicyText"):
            if text := model.get("RepositoryPolicyText"):
                ecr.set_repository_policy(repositoryName=name, policyText=_text(text))
            else:
                ecr.delete_repository_policy(repositoryName=name)
        if _differs(old, model, "LifecyclePolicy"):
            if text := model.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
                ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=_text(text))
            elif old.get("LifecyclePolicy"):
                ecr.delete_lifecycle_policy(repositoryName=name)


class _Refused(ResourceProvider[Properties]):
    """A type that the stage does not execute."""

    SCHEMA = {"primaryIdentifier": ["/properties/Id"]}  # noqa: RUF012 - as the base class has it

    def __init__(self, resource_type: str) -> None:
        self.type = resource_type

    def create(self, request: ResourceRequest[Properties]) -> Event:  # noqa: ARG002 - as the base class has it
        """FAILED, with the type's name."""
        return _failed(not_supported(f"the resource type {self.type}").message)

    update = create

    def delete(self, request: ResourceRequest[Properties]) -> Event:  # noqa: ARG002 - as the base class has it
        """Nothing was made."""
        return _done({})


_PROVIDERS: Mapping[str, Callable[[], ResourceProvider[Properties]]] = {
    "AWS::SageMaker::Model": lambda: _SageMaker(_Kind("Model")),
    "AWS::SageMaker::EndpointConfig": lambda: _SageMaker(_Kind("EndpointConfig")),
    "AWS::SageMaker::Endpoint": lambda: _Endpoint(
        _Kind("Endpoint", ("Tags", "EndpointConfigName", "DeploymentConfig", *UPDATE_ONLY))
    ),
    "AWS::ECR::Repository": _Repository,
}

_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": json.loads,
}


def fitted(shape: Shape, value: Any) -> Any:
    """A template's value as a request of the API has it: the spelling of the shape's members, and its types: a template
    may write 8080 for "8080", and "1" for 1. What the shape does not have is left out."""
    if shape.type_name == "structure" and isinstance(value, Mapping):
        members = {name.lower(): name for name in shape.members}
        known = [(members[key.lower()], item) for key, item in value.items() if key.lower() in members]
        return {name: fitted(shape.members[name], item) for name, item in known}
    if shape.type_name == "list" and isinstance(value, list):
        return [fitted(shape.member, item) for item in value]
    if shape.type_name == "map" and isinstance(value, Mapping):
        return {key: fitted(shape.value, item) for key, item in value.items()}
    return _scalar(shape.type_name, value)


def _scalar(type_name: str, value: Any) -> Any:
    """Of the type that the API wants, where the text says it; else unchanged, for the API to refuse."""
    if type_name == "string" and isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    read = _READERS.get(type_name)
    if read is None or not isinstance(value, str):
        return value
    try:
        return read(value)
    except ValueError:
        return value


def _refuse_unknown(request: ResourceRequest[Properties], known: set[str]) -> None:
    """ValueError, in CloudFormation's words, for a property that the type does not have."""
    for name in request.desired_state:
        if name not in known and name != "Id":
            raise ValueError(
                f"Properties validation failed for resource {request.logical_resource_id} with message: "
                f"#: extraneous key [{name}] is not permitted"
            )


def _merged(request: ResourceRequest[Properties], *kept: str) -> Properties:
    """The wanted properties, and those of the resource that no template has."""
    old = request.previous_state or {}
    return {**{key: old[key] for key in kept if key in old}, **request.desired_state}


def _differs(old: Properties, new: Properties, *names: str) -> bool:
    return any(old.get(name) != new.get(name) for name in names)


def _tag_changes(old: Properties, new: Properties) -> tuple[list[str], list[dict[str, str]]]:
    """The keys that are gone, and the tags to set."""
    wanted = {tag["Key"]: str(tag["Value"]) for tag in new.get("Tags") or []}
    gone = [tag["Key"] for tag in old.get("Tags") or [] if tag["Key"] not in wanted]
    return gone, [{"Key": key, "Value": value} for key, value in wanted.items()]


def _change_tags(sagemaker: Any, arn: str, old: Properties, new: Properties) -> None:
    removed, added = _tag_changes(old, new)
    if removed:
        sagemaker.delete_tags(ResourceArn=arn, TagKeys=removed)
    if added:
        sagemaker.add_tags(ResourceArn=arn, Tags=added)


def _text(policy: Any) -> str:
    """A template writes a policy as text or as an object."""
    return policy if isinstance(policy, str) else json.dumps(policy)


def _done(model: Properties) -> Event:
    return ProgressEvent(OperationStatus.SUCCESS, resource_model=model)


def _again(model: Properties, **context: Any) -> Event:
    """CloudFormation calls again, with this model and context."""
    return ProgressEvent(OperationStatus.IN_PROGRESS, resource_model=model, custom_context=context)


def _failed(message: str) -> Event:
    return ProgressEvent(OperationStatus.FAILED, resource_model={}, message=message)
