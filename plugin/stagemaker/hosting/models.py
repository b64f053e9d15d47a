"""Models: an image, where its data lies, and the role that its containers run under. Nothing runs here."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from stagemaker.api.listing import page
from stagemaker.api.tags import is_taken, tag_list
from stagemaker.api.unsupported import not_supported, refuse
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Scope
from stagemaker.core.store import Record, Store
from stagemaker.hosting.plan import ModelSource, model_source
from stagemaker.runtime.contract import Runtime

KIND = "model"
NOT_YET = {
    "InferenceExecutionConfig": "multi-container endpoints",
    "EnableNetworkIsolation": "network isolation",
}
CONTAINER_NOT_YET = {
    "ModelPackageName": "model packages",
    "InferenceSpecificationName": "model packages",
    "MultiModelConfig": "multi-model endpoints",
    "AdditionalModelDataSources": "additional model data",
}


class ModelAws(Protocol):
    """The part of `aws.Aws` that models need."""

    def role_environment(self, scope: Scope, role_arn: str) -> dict[str, str]: ...
    def object_exists(self, scope: Scope, uri: str) -> bool: ...
    def prefix_has_objects(self, scope: Scope, uri: str) -> bool: ...


class Models:
    """CreateModel, DescribeModel, ListModels, DeleteModel."""

    def __init__(self, store: Store, runtime: Runtime, aws: ModelAws, clock: Callable[[], float]) -> None:
        self._store, self._runtime, self._aws, self._clock = store, runtime, aws, clock

    def create_model(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Check everything that AWS checks before an endpoint is made: image, role, model data.

        ValidationException for a name that is taken, an image that this runtime cannot run, a role that cannot be
        assumed and data that is not there; 501 for kinds of models that we cannot host.
        """
        name = request["ModelName"]
        arn = scope.arn("sagemaker", f"model/{name.lower()}")
        self._refuse_taken(scope, arn)
        container = _container(request)
        source = model_source(container)
        if "ExecutionRoleArn" not in request:
            raise validation_error("ExecutionRoleArn is required: the role that the model's containers run under.")
        self._runtime.check_image(container["Image"])
        self._aws.role_environment(scope, request["ExecutionRoleArn"])
        self._check_data(scope, source)
        record = {
            **request,
            "ModelArn": arn,
            "CreationTime": datetime.fromtimestamp(self._clock(), UTC),
            "EnableNetworkIsolation": False,
            "Tags": tag_list(request),
        }
        with self._store.lock:
            self._refuse_taken(scope, arn)
            self._store.put(scope, KIND, name, record)
        return {"ModelArn": arn}

    def describe_model(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """What was given, with ARN and time."""
        return {key: value for key, value in self._get(scope, request["ModelName"]).items() if key != "Tags"}

    def list_models(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Newest first unless asked otherwise."""
        sort = {"CreationTime": "CreationTime", "Name": "ModelName"}
        records, token = page(self._store.all(scope, KIND), request, name="ModelName", sort=sort)
        models = [{key: record[key] for key in ("ModelName", "ModelArn", "CreationTime")} for record in records]
        return {"Models": models, **({"NextToken": token} if token else {})}

    def delete_model(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Forget the entry; an endpoint that was made from it serves on, as on AWS."""
        with self._store.lock:
            self._get(scope, request["ModelName"])
            self._store.delete(scope, KIND, request["ModelName"])
        return {}

    def _get(self, scope: Scope, name: str) -> Record:
        record = self._store.get(scope, KIND, name)
        if record is None:
            arn = scope.arn("sagemaker", f"model/{name.lower()}")
            raise validation_error(f'Could not find model "{arn}".')
        return record

    def _refuse_taken(self, scope: Scope, arn: str) -> None:
        if is_taken(self._store, scope, KIND, arn):
            raise validation_error(f'Cannot create already existing model "{arn}".')

    def _check_data(self, scope: Scope, source: ModelSource | None) -> None:
        if source is None:
            return
        there = self._aws.prefix_has_objects if source.form == "prefix" else self._aws.object_exists
        if not there(scope, source.uri):
            raise validation_error(f"Could not find model data at {source.uri}.")


def primary_container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one container of a model that CreateModel took."""
    container: Mapping[str, Any] = model["PrimaryContainer"] if "PrimaryContainer" in model else model["Containers"][0]
    return container


def _container(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container, after refusing what is wrong with the request or not implemented."""
    refuse(request, NOT_YET)
    given = [request["PrimaryContainer"]] if "PrimaryContainer" in request else []
    given = [*given, *request.get("Containers", [])]
    if not given or ("PrimaryContainer" in request and len(given) > 1):
        raise validation_error("Give either PrimaryContainer or Containers, and one container in it.")
    if len(given) > 1:
        raise not_supported("models of several containers (Containers)")
    container: Mapping[str, Any] = given[0]
    refuse(container, CONTAINER_NOT_YET)
    if container.get("Mode") == "MultiModel":
        raise not_supported("multi-model endpoints (Mode)")
    if container.get("ImageConfig", {}).get("RepositoryAccessMode") == "Vpc":
        raise not_supported("private registries (ImageConfig)")
    if "Image" not in container:
        raise validation_error("The container has no Image.")
    return container
