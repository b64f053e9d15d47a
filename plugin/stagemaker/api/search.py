"""Search and GetSearchSuggestions over the records of the stage."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stagemaker.api.listing import page
from stagemaker.api.operation import Call, Response
from stagemaker.api.search_expression import Found, Properties, check, is_found, sort_key, suggestions
from stagemaker.api.unsupported import not_supported
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.refs import Kind, Scope
from stagemaker.core.store import Record, Store

MOST_SUGGESTIONS = 100  # (ours)


@dataclass(frozen=True)
class Searchable:
    """A kind of resource that can be searched for. `describe` is its Describe operation; a result shows those of the
    answer's members that are among `members`, beside its tags, and in `shown_as` if there is a name."""

    kind: Kind
    describe: Call
    members: frozenset[str]
    shown_as: str = ""


class Search:
    """The two operations. `searchables`: by the request's Resource."""

    def __init__(self, store: Store, searchables: Mapping[str, Searchable]) -> None:
        self._store, self._searchables = store, searchables

    def search(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """One page of the resources of a kind that the expression finds, the last modified first unless asked
        otherwise. ValidationException for an expression that AWS would not take; 501 for a kind that is not ours."""
        resource, searchable = request["Resource"], self._searchable(request)
        if request.get("CrossAccountFilterOption") == "CrossAccount":
            raise not_supported("searching other accounts (CrossAccountFilterOption)")
        properties = Properties(searchable.members)
        expression = _with_visibility(request)
        if expression is not None:
            check(expression, properties)
        sort_by = request.get("SortBy", "LastModifiedTime")
        if "SortBy" in request:
            properties.check(sort_by)
        found = [
            each for each in self._resources(scope, searchable) if expression is None or is_found(each, expression)
        ]
        shown, token = _page(found, request, sort_by, searchable.kind)
        results = [{resource: {searchable.shown_as: each} if searchable.shown_as else each} for each in shown]
        return {
            "Results": results,
            "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
            **({"NextToken": token} if token else {}),
        }

    def get_search_suggestions(self, scope: Scope, request: Mapping[str, Any]) -> Response:
        """Names of properties that begin with a hint; all without one."""
        searchable = self._searchable(request)
        hint = request.get("SuggestionQuery", {}).get("PropertyNameQuery", {}).get("PropertyNameHint", "")
        names = suggestions(self._resources(scope, searchable), Properties(searchable.members), hint)
        return {"PropertyNameSuggestions": [{"PropertyName": name} for name in names[:MOST_SUGGESTIONS]]}

    def _searchable(self, request: Mapping[str, Any]) -> Searchable:
        searchable = self._searchables.get(request["Resource"])
        if searchable is None:
            raise not_supported(f"searching for Resource {request['Resource']}")
        return searchable

    def _resources(self, scope: Scope, searchable: Searchable) -> list[Found]:
        """As results show them."""
        name = searchable.kind.name_member
        found: list[Found] = []
        for record in self._store.all(scope, searchable.kind):
            with suppress(ApiError):  # it has just been deleted
                described = searchable.describe(scope, {name: record[name]})
                shown = {member: value for member, value in described.items() if member in searchable.members}
                found.append({**shown, **({"Tags": record["Tags"]} if record.get("Tags") else {})})
        return found


def _with_visibility(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The expression of the request, narrowed by its VisibilityConditions; None when it has neither."""
    visible = [
        {"Name": each.get("Key", ""), "Value": each.get("Value", "")}
        for each in request.get("VisibilityConditions", ())
    ]
    if any(not each["Name"].startswith("Tags.") for each in visible):
        raise validation_error("A Key of VisibilityConditions must be of the form Tags.<key>.")
    expression: Mapping[str, Any] | None = request.get("SearchExpression")
    if not visible:
        return expression
    return {"Filters": visible, "SubExpressions": [expression] if expression else []}


def _page(found: list[Found], request: Mapping[str, Any], sort_by: str, kind: Kind) -> tuple[list[Found], str | None]:
    """In the order of a property; those without it come as if it were the least."""
    keys = [sort_key(each, sort_by) for each in found]
    values: list[Any]
    if any(isinstance(key, str) for key in keys):
        member, values = "Text", ["" if key is None else str(key) for key in keys]
    else:
        member, values = "Time", [float("-inf") if key is None else float(key) for key in keys]
    rows: list[Record] = [
        {member: value, "Name": each[kind.name_member], "found": each}
        for value, each in zip(values, found, strict=True)
    ]
    asked = {name: request[name] for name in ("SortOrder", "NextToken", "MaxResults") if name in request}
    shown, token = page(rows, asked, name="Name", sort={"": member})
    return [row["found"] for row in shown], token
