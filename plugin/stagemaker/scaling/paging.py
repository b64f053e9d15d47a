"""Pure: how the Describe operations of Application Auto Scaling page."""

import base64
import json
from collections.abc import Callable, Iterable
from typing import Any

from stagemaker.api.operation import Request
from stagemaker.core.errors import ApiError, validation_error
from stagemaker.core.store import Record

MAX_PAGE = 50  # AWS's, and its default
Place = tuple[float, str]  # of a record in the order: a moment, and a name for those of one moment


def page(
    records: Iterable[Record], request: Request, label: str, place: Callable[[Record], Place], *, newest_first: bool
) -> tuple[list[Record], dict[str, str]]:
    """The records of one page, in the order of `place`, and the member NextToken unless it is the last page. A token
    holds a place in the order, so that records made or deleted meanwhile shift nothing.

    ValidationException for MaxResults that is not 1 to 50; InvalidNextTokenException for a token that no page of this
    `label` gave out."""
    size = request.get("MaxResults", MAX_PAGE)
    if not 1 <= size <= MAX_PAGE:
        raise validation_error(
            f"1 validation error detected: Value '{size}' at 'maxResults' failed to satisfy constraint: "
            f"Member must have value between 1 and {MAX_PAGE}"
        )
    ordered = sorted(records, key=place, reverse=newest_first)
    if request.get("NextToken"):
        last = _read(request["NextToken"], label)
        ordered = [one for one in ordered if (place(one) < last if newest_first else place(one) > last)]
    more = {"NextToken": _write(label, place(ordered[size - 1]))} if len(ordered) > size else {}
    return ordered[:size], more


def _write(label: str, place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([label, *place]).encode()).decode()


def _read(token: str, label: str) -> Place:
    try:
        made_for, moment, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        made_for, moment, name = None, 0.0, ""
    if made_for != label or not isinstance(moment, int | float) or not isinstance(name, str):
        raise ApiError("InvalidNextTokenException", "The next token specified is invalid.")
    return float(moment), name


def summary(record: Record, hidden: Iterable[str]) -> dict[str, Any]:
    """What a Describe operation shows of a record: all but `hidden`."""
    left_out = set(hidden)
    return {key: value for key, value in record.items() if key not in left_out}
