"""The Resource Groups Tagging API over our resources: moto answers it, from what moto itself keeps.

Moto's list asks its own SageMaker for tags, which has none of ours and fails on some kinds of its own. It gets an empty
SageMaker instead, and after its other resources come all that the stage has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from stagemaker.api.tags import Tags
from stagemaker.core.errors import ApiError
from stagemaker.core.refs import Scope


class WithoutSageMaker:
    """Moto's backend of the Tagging API, but that moto's SageMaker has nothing."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.sagemaker_backend = _NoResources()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


class _NoResources:
    """As a backend of moto's that keeps nothing of any kind."""

    def __getattr__(self, _name: str) -> dict[str, Any]:
        return {}


def matching(
    resources: Iterable[tuple[str, list[dict[str, str]]]],
    tag_filters: Sequence[Mapping[str, Any]] | None,
    types: Sequence[str] | None,
) -> Iterator[dict[str, Any]]:
    """The ResourceTagMappingList of what TagFilters and ResourceTypeFilters ask for.

    A filter is fulfilled by its key with any of its values, or with any value when it names none; all must be. A type
    is a service (`sagemaker`) or a service and the ARN's word for a kind (`sagemaker:endpoint`)."""
    for arn, tags in resources:
        values = {tag["Key"]: tag["Value"] for tag in tags}
        fulfilled = all(
            each["Key"] in values and (not each.get("Values") or values[each["Key"]] in each["Values"])
            for each in tag_filters or ()
        )
        service, kind = arn.split(":")[2], arn.split(":", 5)[5].partition("/")[0]
        if fulfilled and (not types or {service, f"{service}:{kind}"} & set(types)):
            yield {"ResourceARN": arn, "Tags": tags}


def change(
    tags: Tags, scope: Scope, arns: Sequence[str], one: Callable[[str], None]
) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Do `one` for each of the resources that the stage has. Gives the others, and a FailedResourcesMap of ours."""
    others, failed = [], {}
    for arn in arns:
        if not tags.has(scope, arn):
            others.append(arn)
            continue
        try:
            one(arn)
        except ApiError as error:
            failed[arn] = {
                "StatusCode": error.status,
                "ErrorCode": "InvalidParameterException",
                "ErrorMessage": error.message,
            }
    return others, failed
