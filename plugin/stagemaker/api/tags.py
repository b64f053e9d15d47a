"""The tags of SageMaker's resources, which live in each record under "Tags": AddTags, ListTags, DeleteTags."""

from collections.abc import Mapping
from typing import Any

from stagemaker.core.errors import validation_error
from stagemaker.core.refs import SAGEMAKER, Ref, Scope
from stagemaker.core.store import Store

MAX_TAGS = 50  # AWS's limit for one resource


def tag_list(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """The Tags of a create request, as the record keeps them. Raises ValidationException for a key given twice."""
    tags: list[dict[str, str]] = [dict(tag) for tag in request.get("Tags", [])]
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise validation_error("Tags must not contain the same key more than once.")
    return tags


class Tags:
    """AddTags, ListTags and DeleteTags over every SageMaker record of the store, whatever its kind."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Set tags; a key that is there already gets the new value. Answers all tags of the resource."""
        with self._store.lock:
            ref, old = self._find(scope, request["ResourceArn"])
            values = {tag["Key"]: tag["Value"] for tag in [*old, *request["Tags"]]}
            if len(values) > MAX_TAGS:
                raise validation_error(f"A resource takes at most {MAX_TAGS} tags.")
            tags = [{"Key": key, "Value": value} for key, value in values.items()]
            self._store.update(ref, Tags=tags)
        return {"Tags": tags}

    def list_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Every tag of the resource: a resource has never more than one page of them."""
        return {"Tags": self._find(scope, request["ResourceArn"])[1]}

    def delete_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Remove tags by key; keys that are not there are no error."""
        with self._store.lock:
            ref, old = self._find(scope, request["ResourceArn"])
            tags = [tag for tag in old if tag["Key"] not in request["TagKeys"]]
            self._store.update(ref, Tags=tags)
        return {}

    def _find(self, scope: Scope, arn: str) -> tuple[Ref, list[dict[str, str]]]:
        found = self._store.find(arn)
        if found is None or found[0].scope != scope or found[0].kind.service != SAGEMAKER:
            raise validation_error(f'Could not find resource "{arn}".')
        return found[0], list(found[1].get("Tags", []))
