"""The Resource Groups Tagging API over our resources: moto answers it, from what moto itself keeps.

Moto's list asks its own SageMaker for tags, which has none of ours and fails on some kinds of its own. It gets an empty
SageMaker instead, and after its other resources come all that the stage has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from stagemaker.adapters.patches import Patch
from stagemaker.api.tags import Tags
from stagemaker.app import App
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


def _scope(backend: ResourceGroupsTaggingAPIBackend) -> Scope:
    return Scope(backend.account_id, backend.region_name)


def _tagged(app: App, original: Any) -> Any:
    def _get_resources_generator(
        self: ResourceGroupsTaggingAPIBackend, tag_filters: Any = None, resource_type_filters: Any = None
    ) -> Iterator[dict[str, Any]]:
        yield from original(WithoutSageMaker(self), tag_filters, resource_type_filters)
        yield from matching(app.tags.all(_scope(self)), tag_filters, resource_type_filters)

    return _get_resources_generator


def _tag_keys(app: App, original: Any) -> Any:
    def _get_tag_keys_generator(self: ResourceGroupsTaggingAPIBackend) -> Iterator[str]:
        found = {tag["Key"] for _, tags in app.tags.all(_scope(self)) for tag in tags}
        yield from sorted({*found, *original(self)})

    return _get_tag_keys_generator


def _tag_values(app: App, original: Any) -> Any:
    def _get_tag_values_generator(self: ResourceGroupsTaggingAPIBackend, tag_key: str) -> Iterator[str]:
        ours = [tag for _, tags in app.tags.all(_scope(self)) for tag in tags]
        yield from sorted({*(tag["Value"] for tag in ours if tag["Key"] == tag_key), *original(self, tag_key)})

    return _get_tag_values_generator


def _tag_resources(app: App, original: Any) -> Any:
    def tag_resources(self: ResourceGroupsTaggingAPIBackend, resource_arns: Any, tags: dict[str, str]) -> Any:
        scope = _scope(self)
        others, failed = change(app.tags, scope, resource_arns, lambda arn: app.tags.tag(scope, arn, tags))
        return {**failed, **original(self, others, tags)}

    return tag_resources


def _untag_resources(app: App, original: Any) -> Any:
    def untag_resources(self: ResourceGroupsTaggingAPIBackend, resource_arn_list: Any, tag_keys: list[str]) -> Any:
        scope = _scope(self)
        others, failed = change(app.tags, scope, resource_arn_list, lambda arn: app.tags.untag(scope, arn, tag_keys))
        return {**failed, **original(self, others, tag_keys)}

    return untag_resources


PATCHES = (
    Patch(
        ResourceGroupsTaggingAPIBackend,
        "_get_resources_generator",
        ("self", "tag_filters", "resource_type_filters"),
        _tagged,
        why="GetResources lists what moto keeps, and moto keeps none of what we run.",
        without="Our resources are not listed, and a model card in moto's SageMaker ends every list with 500.",
    ),
    Patch(
        ResourceGroupsTaggingAPIBackend,
        "_get_tag_keys_generator",
        ("self",),
        _tag_keys,
        why="As GetResources.",
        without="GetTagKeys names no key of ours.",
    ),
    Patch(
        ResourceGroupsTaggingAPIBackend,
        "_get_tag_values_generator",
        ("self", "tag_key"),
        _tag_values,
        why="As GetResources.",
        without="GetTagValues names no value of ours.",
    ),
    Patch(
        ResourceGroupsTaggingAPIBackend,
        "tag_resources",
        ("self", "resource_arns", "tags"),
        _tag_resources,
        why="As GetResources.",
        without="TagResources fails with 500 for our resources.",
    ),
    Patch(
        ResourceGroupsTaggingAPIBackend,
        "untag_resources",
        ("self", "resource_arn_list", "tag_keys"),
        _untag_resources,
        why="As GetResources.",
        without="UntagResources says that it does not support our services.",
    ),
)
