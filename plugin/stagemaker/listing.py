"""SageMaker's List operations filter, sort and page in one way; this is that way, so that no operation has its own.

AWS source: the request members that ListModels, ListEndpoints, ListTrainingJobs and their kin share.
"""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from stagemaker.errors import validation_error
from stagemaker.state import Record

DEFAULT_PAGE = 10  # AWS's default where a List operation documents one
_Position = tuple[float | str, str]


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
    wanted = [(_position(r, key, name), r) for r in records if _matches(r, request, name, status)]
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
    if status and request.get("StatusEquals", record[status]) != record[status]:
        return False
    for key in ("CreationTime", "LastModifiedTime"):
        before, after = request.get(f"{key}Before"), request.get(f"{key}After")
        if before is not None and _seconds(record[key]) >= _seconds(before):
            return False
        if after is not None and _seconds(record[key]) <= _seconds(after):
            return False
    return True


def _seconds(moment: datetime | float) -> float:
    """Epoch seconds; a datetime without a zone is UTC, as botocore's parser means it."""
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment)


def _position(record: Record, key: str, name: str) -> _Position:
    value = record[key]
    return (value if isinstance(value, str) else _seconds(value)), record[name]


def _encode(position: _Position, label: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([label, *position]).encode()).decode()


def _decode(token: str, label: str) -> _Position:
    try:
        made_for, value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        made_for, value, name = None, 0.0, ""
    kind = float if "Time" in label else str
    if made_for != label or not isinstance(name, str) or not isinstance(value, kind):
        raise validation_error("Invalid NextToken: it is not the token of a page of this listing.")
    return value, name
