"""Pure: multi-model endpoints. What a model and its requests ask for, how a container is called, and who is chosen:
the instance for a request, and the model that has to go.

The interface of the container is that of AWS's "Build Your Own Container for SageMaker Multi-Model Endpoints".
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.hosting.calls import ContainerCall

FOLDER = "models"  # below /opt/ml, AWS's: /opt/ml/models/{name}/model
ENVIRONMENT = {"SAGEMAKER_MULTI_MODEL": "true"}
TARGET_MODEL = "X-Amzn-SageMaker-Target-Model"
MAX_STICKY = 4  # (ours) requests that an instance may have before another one loads the model too


@dataclass(frozen=True)
class ModelsSource:
    """Where the models of a multi-model endpoint lie: archives below `prefix` in S3. `caches`: whether they stay loaded
    after a call."""

    prefix: str
    caches: bool

    def uri(self, target: str) -> str:
        """Of the archive that a TargetModel names."""
        return f"{self.prefix.rstrip('/')}/{target.lstrip('/')}"


class ModelHolder(Protocol):
    """The part of `instance.Instance` that the choice of an instance needs."""

    @property
    def outstanding(self) -> int: ...
    def holds(self, target_model: str) -> bool: ...


@dataclass(frozen=True)
class HeldModel:
    """What is known of a model of an instance. `turn` grows with each use of any model; `busy`: a request needs it, or
    it is being loaded or unloaded."""

    target: str
    turn: int
    busy: bool
    loaded: bool
    on_disk: bool


def is_multi_model(container: Mapping[str, Any]) -> bool:
    """Whether CreateModel was asked for one."""
    return container.get("Mode") == "MultiModel"


def models_source(container: Mapping[str, Any]) -> ModelsSource | None:
    """Of a container; None when it holds one model. ValidationException for what contradicts itself."""
    if not is_multi_model(container):
        if "MultiModelConfig" in container:
            raise validation_error("MultiModelConfig can be given only with Mode MultiModel.")
        return None
    if "ModelDataSource" in container:
        raise validation_error("ModelDataSource cannot be used with multi-model endpoints: give ModelDataUrl.")
    scheme, _, rest = container.get("ModelDataUrl", "").partition("://")
    if scheme != "s3" or not rest.partition("/")[0]:
        raise validation_error("With Mode MultiModel ModelDataUrl must be given: the prefix s3://bucket/prefix/.")
    caches = container.get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled") == "Enabled"
    return ModelsSource(container["ModelDataUrl"], caches)


def check_combination(config: Mapping[str, Any]) -> None:
    """ValidationException for a CreateEndpointConfig request that no multi-model endpoint can have."""
    if config.get("ShadowProductionVariants"):
        raise validation_error("ShadowProductionVariants are not supported with multi-model endpoints.")
    if "AsyncInferenceConfig" in config:
        raise validation_error("AsyncInferenceConfig is not supported with multi-model endpoints.")


def model_name(uri: str) -> str:
    """The name by which a container knows the model of this archive: it tells nothing (as on AWS), and is a good name
    of a folder whatever the TargetModel is."""
    return hashlib.sha256(uri.encode()).hexdigest()[:32]


def check_target(endpoint: str, source: ModelsSource | None, call: ContainerCall) -> None:
    """ValidationError, in AWS's words, for a TargetModel that is missing, or that is given to an endpoint of one
    model."""
    if source is None and call.target_model:
        sentence = f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header."
        raise ApiError("ValidationError", sentence, members={"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"})
    if source is not None and not call.target_model:
        raise ApiError("ValidationError", "Request is missing a target model header.")


def model_call(call: ContainerCall, name: str) -> ContainerCall:
    """The call as the container of a multi-model endpoint gets it."""
    headers = {**call.headers, TARGET_MODEL: call.target_model}
    return replace(call, path=f"/models/{name}/invoke", headers=headers)


def by_model[I: ModelHolder](instances: Sequence[I], target_model: str) -> list[I]:
    """The instances in the order in which a request for the model asks for a place (ours): first those that hold it,
    so that it is loaded once, unless each of them has MAX_STICKY requests and another instance has fewer than any. Of
    equal ones the order stays."""
    ordered = sorted(instances, key=lambda instance: instance.outstanding)
    holders = [instance for instance in ordered if instance.holds(target_model)]
    others = [instance for instance in ordered if instance not in holders]
    if holders and others and holders[0].outstanding >= max(MAX_STICKY, others[0].outstanding + 1):
        return [*others, *holders]
    return [*holders, *others]


def to_unload(models: Iterable[HeldModel]) -> str | None:
    """The target of the model that is unloaded to make room in memory (ours: AWS gives no order): of those that nobody
    needs now, the one that was used least recently."""
    return _least_recent(model for model in models if model.loaded)


def to_delete(models: Iterable[HeldModel]) -> str | None:
    """The target of the model whose files go to make room on the disk (ours): as `to_unload`, but those that are not
    loaded first."""
    found = [model for model in models if model.on_disk]
    return _least_recent(model for model in found if not model.loaded) or _least_recent(found)


def _least_recent(models: Iterable[HeldModel]) -> str | None:
    idle = [model for model in models if not model.busy]
    return min(idle, key=lambda model: model.turn).target if idle else None


def not_ready(target_model: str) -> ApiError:
    """429: the model is not loaded in the time of the request, and loading goes on."""
    sentence = f"Model {target_model} is still being loaded. Try the request again."
    return ApiError("ModelNotReadyException", sentence, 429)


def no_archive(uri: str, reason: str) -> ApiError:
    """ValidationError for an archive that is not there. AWS's sentence was seen for adapters only."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return ApiError("ValidationError", f"Failed to download model data (bucket: {bucket}, key: {key}). {reason}")
