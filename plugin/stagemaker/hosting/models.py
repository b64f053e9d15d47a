"""Models: an image, where its data lies, and the role that its containers run under. Nothing runs here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from stagemaker.api.listing import listing
from stagemaker.api.operation import Response, described
from stagemaker.api.tags import tag_list
from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import ACCESS_DENIED, ApiError, RoleRefused, hinted, validation_error
from stagemaker.core.kinds import MODEL
from stagemaker.core.refs import Ref, Scope
from stagemaker.core.store import Store
from stagemaker.core.vpc import first_subnet
from stagemaker.hosting.layout import ModelSource, model_source
from stagemaker.hosting.multi_container import check_containers, containers_of, is_multi_container
from stagemaker.hosting.multi_model import models_source
from stagemaker.hosting.records import existing, refuse_taken
from stagemaker.runtime.contract import Runtime

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONTAINER_NOT_YET = {
    "ModelPackageName": "model packages",
    "InferenceSpecificationName": "model packages",
    "AdditionalModelDataSources": "additional model data",
    "ContainerMetricsConfig": "metrics of containers",
}


class ModelAccount(Protocol):
    """The part of `aws.account.Account` that models need."""

    def role_environment(self, scope: Scope, role_arn: str, source_arn: str, subnet: str = "") -> dict[str, str]: ...
    def under(self, role_arn: str, subnet: str = "") -> "ModelAccount": ...
    def object_exists(self, scope: Scope, uri: str) -> bool: ...
    def prefix_has_objects(self, scope: Scope, uri: str) -> bool: ...


class Models:
    """CreateModel, DescribeModel, ListModels, DeleteModel. `media_type` says that of an image's manifest in ECR, or
    None for an image that is not there."""

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        account: ModelAccount,
        clock: Callable[[], float],
        media_type: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._store, self._runtime, self._account, self._clock = store, runtime, account, clock
        self._media_type = media_type

    def create_model(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Check everything that AWS checks before an endpoint is made: image, role, model data.

        ValidationException for a name that is taken, an image that this runtime cannot run or whose manifest is not
        Docker's, isolation that it cannot give, a role that cannot be assumed and data that is not there; 501 for kinds
        of models that we cannot host. The prefix of a multi-model endpoint may be empty still.
        """
        ref = Ref(scope, MODEL, request["ModelName"])
        refuse_taken(self._store, ref)
        containers = _containers(request)
        sources = [None if models_source(each) else model_source(each) for each in containers]
        if "ExecutionRoleArn" not in request:
            raise validation_error("ExecutionRoleArn is required: the role that the model's containers run under.")
        if isolated := request.get("EnableNetworkIsolation", False):
            self._runtime.check_isolation()
        images = [container["Image"] for container in containers]
        for image in images:
            self._runtime.check_image(image)
            _check_manifest(image, self._media_type(image))
        if is_multi_container(request):
            self._runtime.check_shared_instance(images)
        subnet = first_subnet(request.get("VpcConfig"))
        self._check_role(ref, request["ExecutionRoleArn"], subnet)
        for source in sources:
            self._check_data(scope, source, request["ExecutionRoleArn"], subnet)
        record = {
            **request,
            "ModelArn": ref.arn,
            "CreationTime": self._clock(),
            "EnableNetworkIsolation": isolated,
            "Tags": tag_list(request),
        }
        with self._store.lock:
            refuse_taken(self._store, ref)
            self._store.put(ref, record)
        return {"ModelArn": ref.arn}

    def describe_model(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """What was given, with ARN and time."""
        return described(existing(self._store, Ref(scope, MODEL, request["ModelName"])))

    def list_models(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Newest first unless asked otherwise."""
        return listing(self._store.all(scope, MODEL), request, MODEL, items="Models")

    def delete_model(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Forget the entry; an endpoint that was made from it serves on, as on AWS."""
        ref = Ref(scope, MODEL, request["ModelName"])
        with self._store.lock:
            existing(self._store, ref)
            self._store.delete(ref)
        return {}

    def _check_role(self, ref: Ref, role_arn: str, subnet: str) -> None:
        try:
            self._account.role_environment(ref.scope, role_arn, ref.arn, subnet)
        except RoleRefused as error:
            raise validation_error(
                f'The execution role ARN "{role_arn}" is invalid. Please ensure that the role exists and that its '
                'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com".'
            ) from error

    def _check_data(self, scope: Scope, source: ModelSource | None, role_arn: str, subnet: str) -> None:
        if source is None:
            return
        account = self._account.under(role_arn, subnet)
        try:
            look = account.prefix_has_objects if source.form == "prefix" else account.object_exists
            there = look(scope, source.uri)
        except ApiError as error:
            if error.code != ACCESS_DENIED:
                raise
            raise _no_access(source, role_arn, scope, error.message) from error
        if not there:
            raise _no_access(source, role_arn, scope, "There is no such object.")


def _check_manifest(image: str, media_type: str | None) -> None:
    """AWS takes no index and no OCI manifest for a model. Its words are from answers quoted in public repositories."""
    if media_type not in (None, DOCKER_MANIFEST):
        sentence = (
            f"Unsupported manifest media type {media_type} for image {image}. Ensure that valid manifest media type is "
            "used for specified image."
        )
        advice = (
            f"push it as {DOCKER_MANIFEST}: docker buildx build --provenance=false --sbom=false --output "
            "type=image,oci-mediatypes=false,push=true."
        )
        raise validation_error(hinted(sentence, advice))


def _no_access(source: ModelSource, role_arn: str, scope: Scope, why: str) -> ApiError:
    sentence = (
        f'Could not access model data at {source.uri}. Please ensure that the role "{role_arn}" exists and that its '
        'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object is '
        f"located in {scope.region}. If your Model uses multiple models or uncompressed models, please ensure that the "
        'role has "s3:ListBucket" permission.'
    )
    return validation_error(hinted(sentence, why))


def _containers(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Those of the model, after refusing what is wrong with the request or not implemented."""
    if ("PrimaryContainer" in request) == bool(request.get("Containers")):
        raise validation_error("Give either PrimaryContainer or Containers.")
    containers = containers_of(request)
    for container in containers:
        _refuse_unsupported(container)
        if "Image" not in container:
            raise validation_error("The container has no Image.")
    check_containers(request)
    return containers


def _refuse_unsupported(container: Mapping[str, Any]) -> None:
    refuse(container, CONTAINER_NOT_YET)
    image_config = container.get("ImageConfig", {})
    if image_config.get("RepositoryAccessMode") == "Vpc" or "RepositoryAuthConfig" in image_config:
        raise not_supported("private registries (ImageConfig)")
