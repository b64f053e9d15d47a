"""The tags of resources, which live in each record under "Tags": AddTags, ListTags, DeleteTags and the Tagging API.

What moto keeps for us (api/moto.py) has its tags there: it is another holder of tags.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.kinds import KINDS
from stagemaker.core.refs import SAGEMAKER, Scope
from stagemaker.core.store import Store

MAX_TAGS = 50  # AWS's limit for one resource
RESERVED = "aws: prefixed tag key names are not allowed for external use."


def tag_list(request: Mapping[str, Any]) -> list[dict[str, str]]:
    """The Tags of a create request, as the record keeps them. Raises ValidationException for a key given twice, or
    reserved by AWS."""
    tags: list[dict[str, str]] = [dict(tag) for tag in request.get("Tags", [])]
    if has_reserved(tags):
        raise validation_error(RESERVED)
    if len({tag["Key"] for tag in tags}) < len(tags):
        raise validation_error("Tags must not contain the same key more than once.")
    return tags


def has_reserved(tags: Sequence[Mapping[str, str]]) -> bool:
    """Whether a key begins with `aws:`, in any case: those are AWS's own."""
    return any(tag["Key"].lower().startswith("aws:") for tag in tags)


class TagHolder(Protocol):
    """Resources outside our records that have tags. Thread-safe."""

    def get(self, scope: Scope, arn: str) -> list[dict[str, str]] | None:
        """The tags of a resource of the scope; None when there is no such resource here."""

    def put(self, scope: Scope, arn: str, tags: list[dict[str, str]]) -> None:
        """Replace the tags of a resource that `get` knows."""

    def all(self, scope: Scope) -> Iterable[tuple[str, list[dict[str, str]]]]:
        """ARN and tags of every resource of the scope."""


class Tags:
    """AddTags, ListTags and DeleteTags over every SageMaker record of the store and of `others`, whatever its kind."""

    def __init__(self, store: Store, others: Iterable[TagHolder] = ()) -> None:
        self._holders: tuple[TagHolder, ...] = (_Records(store), *others)
        self._lock = store.lock

    def add_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Set tags; a key that is there already gets the new value. Answers all tags of the resource."""
        return {"Tags": self._change(scope, _sagemaker(request["ResourceArn"]), add=request["Tags"])}

    def list_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Every tag of the resource: a resource has never more than one page of them."""
        return {"Tags": self._find(scope, _sagemaker(request["ResourceArn"]))[1]}

    def delete_tags(self, scope: Scope, request: Mapping[str, Any]) -> dict[str, Any]:
        """Remove tags by key; keys that are not there are no error."""
        self._change(scope, _sagemaker(request["ResourceArn"]), remove=request["TagKeys"])
        return {}

    def all(self, scope: Scope) -> list[tuple[str, list[dict[str, str]]]]:
        """ARN and tags of every resource of the scope that has tags, of all services that keep records here."""
        return [(arn, tags) for holder in self._holders for arn, tags in holder.all(scope) if tags]

    def has(self, scope: Scope, arn: str) -> bool:
        """Whether there is such a resource here, of whatever service."""
        return any(holder.get(scope, arn) is not None for holder in self._holders)

    def tag(self, scope: Scope, arn: str, tags: Mapping[str, str]) -> None:
        """Set tags of a resource of whatever service. Raises as `add_tags`."""
        self._change(scope, arn, add=[{"Key": key, "Value": value} for key, value in tags.items()])

    def untag(self, scope: Scope, arn: str, keys: Iterable[str]) -> None:
        """Remove tags of a resource of whatever service. Raises as `delete_tags`."""
        self._change(scope, arn, remove=keys)

    def _change(
        self, scope: Scope, arn: str, *, add: Sequence[Mapping[str, str]] = (), remove: Iterable[str] = ()
    ) -> list[dict[str, str]]:
        with self._lock:
            holder, old = self._find(scope, arn)
            if has_reserved(add):
                raise validation_error(RESERVED)
            values = {tag["Key"]: tag["Value"] for tag in [*old, *add]}
            if len(values) > MAX_TAGS:
                raise validation_error(f"A resource takes at most {MAX_TAGS} tags.")
            gone = set(remove)
            tags = [{"Key": key, "Value": value} for key, value in values.items() if key not in gone]
            holder.put(scope, arn, tags)
        return tags

    def _find(self, scope: Scope, arn: str) -> tuple[TagHolder, list[dict[str, str]]]:
        for holder in self._holders:
            tags = holder.get(scope, arn)
            if tags is not None:
                return holder, tags
        raise _unknown(arn)


class _Records:
    """The records of the store, as a holder of tags."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, scope: Scope, arn: str) -> list[dict[str, str]] | None:
        found = self._store.find(arn)
        return None if found is None or found[0].scope != scope else _tags(found[1])

    def put(self, scope: Scope, arn: str, tags: list[dict[str, str]]) -> None:  # noqa: ARG002 - the ARN names the scope
        found = self._store.find(arn)
        if found is None:
            raise _unknown(arn)
        self._store.update(found[0], Tags=tags)

    def all(self, scope: Scope) -> list[tuple[str, list[dict[str, str]]]]:
        return [
            (ref.arn, _tags(record))
            for kind in KINDS
            for ref, record in self._store.everywhere(kind)
            if ref.scope == scope
        ]


def _tags(record: Mapping[str, Any]) -> list[dict[str, str]]:
    return [dict(tag) for tag in record.get("Tags", [])]


def _sagemaker(arn: str) -> str:
    """The ARN; ValidationException when it is one of another service."""
    if f":{SAGEMAKER}:" not in arn:
        raise _unknown(arn)
    return arn


def _unknown(arn: str) -> ApiError:
    return validation_error(f'Could not find resource "{arn}".')
