"""The tags of the resources that moto keeps for us (api/moto.py): its own ListTags knows only some of their kinds."""

from collections.abc import Iterator
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from stagemaker.core.refs import Scope

# Where moto's backend keeps the resources whose creation api/moto.py lets it answer. A value is one resource, or the
# versions of one, the newest last.
HOLDERS = (
    "domains",
    "experiments",
    "model_cards",
    "model_package_groups",
    "model_packages",
    "pipelines",
    "trial_components",
    "trials",
)


class MotoTags:
    """A TagHolder. Thread-safe as far as moto is: a change of one resource's tags is one assignment."""

    def get(self, scope: Scope, arn: str) -> list[dict[str, str]] | None:
        """The tags of a resource of the scope; None when moto has no such resource."""
        return next((_tags(resource) for resource in _resources(scope) if resource.arn == arn), None)

    def put(self, scope: Scope, arn: str, tags: list[dict[str, str]]) -> None:
        """Replace the tags of a resource that `get` knows, in all its versions."""
        for resource in _resources(scope):
            if resource.arn == arn:
                resource.tags = [dict(tag) for tag in tags]

    def all(self, scope: Scope) -> list[tuple[str, list[dict[str, str]]]]:
        """ARN and tags of every resource of the scope."""
        return list({resource.arn: _tags(resource) for resource in _resources(scope)}.items())


def _resources(scope: Scope) -> Iterator[Any]:
    backend = sagemaker_backends[scope.account][scope.region]
    for holder in HOLDERS:
        for kept in list(getattr(backend, holder).values()):
            yield from reversed(kept) if isinstance(kept, list) else (kept,)


def _tags(resource: Any) -> list[dict[str, str]]:
    return [dict(tag) for tag in getattr(resource, "tags", None) or []]
