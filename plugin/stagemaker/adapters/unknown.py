"""Requests that no model knows: operations of a service of ours that are newer than the models that we have.

LocalStack answers them with 500, as if something had broken. They answer 501 by their name, like every operation that
we do not implement, in the service's own protocol.
"""

from collections.abc import Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel

TARGET = "x-amz-target"


def unknown_operation(service: ServiceModel, method: str, path: str, headers: Mapping[str, str]) -> str | None:
    """The name of the operation that a request asks for when the service's model does not have it, else None.

    Protocols with a target header name it there. In the REST protocols only method and path say it: they are the name.
    The caller knows already that LocalStack could not parse the request.
    """
    if service.metadata.get("targetPrefix"):
        target = next((value for header, value in headers.items() if header.lower() == TARGET), "")
        name = target.rpartition(".")[2]
        return name if name and name not in service.operation_names else None
    return None if _routed(service, method, path) else f"{method} {path}"


def stand_in(service: ServiceModel, name: str) -> OperationModel:
    """A model of the operation without input and output, for LocalStack's serializer and its log."""
    return OperationModel({"name": name, "http": {"method": "POST", "requestUri": "/"}}, service, name)


def _routed(service: ServiceModel, method: str, path: str) -> bool:
    return any(
        _fits(service.operation_model(name).http, method, path.strip("/").split("/"))
        for name in service.operation_names
    )


def _fits(http: Mapping[str, Any], method: str, parts: list[str]) -> bool:
    """Whether method and path are those of an operation; `{...}` in its path stands for any one part."""
    pattern = str(http["requestUri"]).partition("?")[0].strip("/").split("/")
    return (
        http["method"] == method
        and len(pattern) == len(parts)
        and all(wanted.startswith("{") or wanted == part for wanted, part in zip(pattern, parts, strict=True))
    )
