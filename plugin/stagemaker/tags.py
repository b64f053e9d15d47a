"""SageMaker resources by ARN, whatever their kind, and their tags, which live in the record under "Tags"."""

from collections.abc import Mapping
from typing import Any

from stagemaker.errors import validation_error
from stagemaker.state import Scope, Store

ARN_KEYS = {
    "training-job": "TrainingJobArn",
    "model": "ModelArn",
    "endpoint-config": "EndpointConfigArn",
    "endpoint": "EndpointArn",
}
MAX_TAGS = 50  # AWS's limit for one resource


def tag_list(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """The Tags of a create request, as the record keeps them. Raises ValidationException for a key given twice."""
    tags: list[dict[str, str]] = [dict(tag) for tag in request.get("Tags", [])]
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise validation_error("Tags must not contain the same key more than once.")
    return tags


def is_taken(store: Store, scope: Scope, kind: str, arn: str) -> bool:
    """Whether a record has this ARN: names that differ only by case make one, since ARNs have them in lower case."""
    return any(record[ARN_KEYS[kind]] == arn for record in store.all(scope, kind))


class Tags:
    """AddTags, ListTags and DeleteTags over every kind of record in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Set tags; a key that is there already gets the new value. Answers all tags of the resource."""
        with self._store.lock:
            kind, name, old = self._find(scope, request["ResourceArn"])
            values = {tag["Key"]: tag["Value"] for tag in [*old, *request["Tags"]]}
            if len(values) > MAX_TAGS:
                raise validation_error(f"A resource takes at most {MAX_TAGS} tags.")
            tags = [{"Key": key, "Value": value} for key, value in values.items()]
            self._store.update(scope, kind, name, Tags=tags)
        return {"Tags": tags}

    def list_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Every tag of the resource: a resource has never more than one page of them."""
        return {"Tags": self._find(scope, request["ResourceArn"])[2]}

    def delete_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Remove tags by key; keys that are not there are no error."""
        with self._store.lock:
            kind, name, old = self._find(scope, request["ResourceArn"])
            tags = [tag for tag in old if tag["Key"] not in request["TagKeys"]]
            self._store.update(scope, kind, name, Tags=tags)
        return {}

    def _find(self, scope: Scope, arn: str) -> tuple[str, str, list[dict[str, str]]]:
        with self._store.lock:
            for kind, key in ARN_KEYS.items():
                for owner, name, record in self._store.everywhere(kind):
                    if owner == scope and record[key] == arn:
                        return kind, name, list(record.get("Tags", []))
        raise validation_error(f'Could not find resource "{arn}".')
