"""Pure: models of several containers. Which containers a model has and how they are named, which of them a request is
for, and what one of a pipeline is sent of what the one before it answered.

AWS source: "Multi-container endpoints" and "Inference pipelines" in the developer guide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.hosting.calls import ContainerCall
from stagemaker.hosting.model_error import PRIMARY
from stagemaker.hosting.multi_model import is_multi_model

ACCEPT, CONTENT_TYPE, CONTENT_LENGTH = "Accept", "Content-Type", "Content-Length"


def containers_of(model: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Those of a CreateModel request or of a model, in their order."""
    containers: Sequence[Mapping[str, Any]] = model.get("Containers") or [model["PrimaryContainer"]]
    return containers


def is_multi_container(model: Mapping[str, Any]) -> bool:
    """Whether it has several containers, or one that requests name."""
    return len(containers_of(model)) > 1 or is_direct(model)


def is_direct(model: Mapping[str, Any]) -> bool:
    """Whether a request is for the one container that it names; otherwise it goes through all of them."""
    return bool(model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct")


def container_names(model: Mapping[str, Any]) -> list[str]:
    """By which messages, logs and metrics know its containers: the hostname or, as on AWS, container-1, container-2."""
    if not is_multi_container(model):
        return [PRIMARY]
    containers = containers_of(model)
    return [each.get("ContainerHostname") or f"container-{number}" for number, each in enumerate(containers, start=1)]


def check_containers(model: Mapping[str, Any]) -> None:
    """ValidationException for containers that contradict each other; 501 for combinations that are not implemented."""
    if not is_multi_container(model):
        return
    containers, names = containers_of(model), container_names(model)
    if is_direct(model) and not all(each.get("ContainerHostname") for each in containers):
        raise validation_error("With InferenceExecutionConfig Mode Direct each container needs a ContainerHostname.")
    if len(set(names)) < len(names):
        raise validation_error(f"The containers of a model must have different names; they are {', '.join(names)}.")
    multi_model = sum(is_multi_model(each) for each in containers)
    if multi_model > 1:
        raise validation_error("More than one container in MultiModel mode is not supported with inference pipeline.")
    if multi_model:
        raise not_supported("a multi-model container (Mode) beside others (Containers)")


def check_combination(config: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """ValidationException for a CreateEndpointConfig request that an endpoint of such a model cannot have."""
    if not is_multi_container(model):
        return
    if config.get("ShadowProductionVariants"):
        raise validation_error("ShadowProductionVariants are not supported with multi-container endpoints.")
    if is_direct(model) and "AsyncInferenceConfig" in config:
        sentence = "AsyncInferenceConfig is not supported with InferenceExecutionConfig Mode Direct: "
        raise validation_error(f"{sentence}InvokeEndpointAsync cannot name a container.")


def check_target_container(endpoint: str, names: Sequence[str], direct: bool, target: str) -> None:
    """ValidationError for a TargetContainerHostname that is missing, unknown, or given where no request names one.
    AWS documents when, not the sentences."""
    if target and not direct:
        why = f"endpoint {endpoint} is not configured for direct invocation of its containers"
        raise ApiError("ValidationError", f"TargetContainerHostname cannot be given: {why}.")
    if direct and not target:
        sentence = f"Endpoint {endpoint} is configured for direct invocation: TargetContainerHostname must name one of "
        raise ApiError("ValidationError", f"{sentence}its containers, {', '.join(names)}.")
    if direct and target not in names:
        sentence = f"Endpoint {endpoint} has no container of the TargetContainerHostname {target}; it has "
        raise ApiError("ValidationError", f"{sentence}{', '.join(names)}.")


def first_call(call: ContainerCall, *, alone: bool) -> ContainerCall:
    """What the first container is sent: what the caller accepts is for the last one (ours)."""
    return call if alone else replace(call, headers=_without(call.headers, ACCEPT))


def next_call(
    call: ContainerCall, answered: Mapping[str, str], body: IO[bytes], length_bytes: int, *, last: bool
) -> ContainerCall:
    """What a container is sent of the caller's `call` when the one before it has answered `body`, with these headers,
    whose names are in lower case: the content type goes on (ours)."""
    headers = _without(call.headers, CONTENT_TYPE, *(() if last else (ACCEPT,)))
    given = {CONTENT_TYPE: answered["content-type"]} if "content-type" in answered else {}
    return replace(call, headers={**headers, **given, CONTENT_LENGTH: str(length_bytes)}, body=body)


def _without(headers: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}
