"""SageMaker's List operations filter, sort and page in one way; this is that way, so that no operation has its own.

AWS source: the request members that ListModels, ListEndpoints, ListTrainingJobs and their kin share.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from stagemaker.api.operation import Response
from stagemaker.core.errors import validation_error
from stagemaker.core.refs import Kind
from stagemaker.core.store import Record

DEFAULT_PAGE = 10  # AWS's default where a List operation documents one
_Position = tuple[float | str, str]


def listing(
    records: list[Record],
    request: Mapping[str, Any],
    kind: Kind,
    *,
    items: str,
    members: Sequence[str] = (),
    status: str | None = None,
    status_last: bool = False,
    order: str = "Descending",
) -> Response:
    """The whole answer of a List operation: a summary of each record under `items`, and NextToken unless it is the last
    page. A summary has name, ARN, creation time and those of `members` that the record has.

    `status_last`: with both StatusEquals and MaxResults, pages are made first and filtered then, so that a page may be
    short or empty and another still follow. For the rest see `page`."""
    sort = {"CreationTime": "CreationTime", "Name": kind.name_member, **({"Status": status} if status else {})}
    late = status if status_last and "MaxResults" in request else None
    first = None if late else status
    shown, token = page(records, request, name=kind.name_member, sort=sort, status=first, order=order)
    if late:
        shown = [record for record in shown if _has_status(record, request, late)]
    keys = (kind.name_member, kind.arn_member, "CreationTime", *members)
    found = [{key: record[key] for key in keys if key in record} for record in shown]
    return {items: found, **({"NextToken": token} if token else {})}


def page(
    records: list[Record],
    request: Mapping[str, Any],
    *,
    name: str,
    sort: Mapping[str, str],
    status: str | None = None,
    order: str = "Descending",
) -> tuple[list[Record], str | None]:
    """The records of one page and the token of the next, or None after the last.

    `name` is the record's key of its name; `sort` maps the values of SortBy to record keys, the default first; `status`
    is the record's key that StatusEquals compares; `order` is what AWS documents as the default SortOrder. A token
    holds the place in the order, not a number, so that records made or deleted meanwhile shift nothing. Raises
    ValidationException for a token that this function did not make, or made for another sorting.
    """
    key = sort[request.get("SortBy") or next(iter(sort))]
    descending = (request.get("SortOrder") or order) == "Descending"
    label = f"{key} {descending}"
    wanted = [((record[key], record[name]), record) for record in records if _matches(record, request, name, status)]
    wanted.sort(key=lambda pair: pair[0], reverse=descending)
    if request.get("NextToken"):
        last = _decode(request["NextToken"], label)
        wanted = [pair for pair in wanted if (pair[0] < last if descending else pair[0] > last)]
    size = request.get("MaxResults") or DEFAULT_PAGE
    token = _encode(wanted[size - 1][0], label) if len(wanted) > size else None
    return [record for _, record in wanted[:size]], token


def _matches(record: Record, request: Mapping[str, Any], name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in record[name].lower():
        return False
    if status and not _has_status(record, request, status):
        return False
    for key in ("CreationTime", "LastModifiedTime"):
        before, after = request.get(f"{key}Before"), request.get(f"{key}After")
        if before is not None and record[key] >= before:
            return False
        if after is not None and record[key] <= after:
            return False
    return True


def _has_status(record: Record, request: Mapping[str, Any], status: str) -> bool:
    return bool(request.get("StatusEquals", record[status]) == record[status])


def _encode(position: _Position, label: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([label, *position]).encode()).decode()


def _decode(token: str, label: str) -> _Position:
    try:
        made_for, value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        made_for, value, name = None, 0.0, ""
    kind = float if "Time" in label or "Value" in label else str
    if made_for != label or not isinstance(name, str) or not isinstance(value, kind):
        raise validation_error("Invalid NextToken: it is not the token of a page of this listing.")
    return value, name
