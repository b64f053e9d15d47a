"""Filters, order and pages of the List operations."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stagemaker.api.listing import listing, page
from stagemaker.api.operation import plain
from stagemaker.core.errors import ApiError
from stagemaker.core.kinds import MODEL
from stagemaker.core.store import Record

SORT = {"CreationTime": "CreationTime", "Name": "ModelName", "Status": "Status"}


def record(name: str, second: int, status: str = "InService") -> Record:
    made_s = float(second)
    return {"ModelName": name, "CreationTime": made_s, "LastModifiedTime": made_s, "Status": status}


RECORDS = [record("beta", 2), record("alpha", 1, "Failed"), record("gamma", 3), record("delta", 3)]


def names(**request: Any) -> list[str]:
    records, _ = page(RECORDS, plain(request), name="ModelName", sort=SORT, status="Status")
    return [r["ModelName"] for r in records]


def test_newest_first_and_names_decide_between_equals() -> None:
    assert names() == ["gamma", "delta", "beta", "alpha"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"SortOrder": "Ascending"}, ["alpha", "beta", "delta", "gamma"]),
        ({"SortBy": "Name"}, ["gamma", "delta", "beta", "alpha"]),
        ({"SortBy": "Status", "SortOrder": "Ascending"}, ["alpha", "beta", "delta", "gamma"]),
        ({"NameContains": "LTA"}, ["delta"]),
        ({"StatusEquals": "Failed"}, ["alpha"]),
        ({"CreationTimeAfter": datetime.fromtimestamp(2, UTC)}, ["gamma", "delta"]),
        ({"CreationTimeBefore": 2}, ["alpha"]),
        ({"LastModifiedTimeBefore": datetime.fromtimestamp(3, UTC).replace(tzinfo=None)}, ["beta", "alpha"]),
    ],
)
def test_filters_and_orders(request_: dict[str, Any], expected: list[str]) -> None:
    assert names(**request_) == expected


@pytest.mark.parametrize("by", ["CreationTime", "Name", "Status"])
@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_pages_join_to_the_whole(by: str, order: str, size: int) -> None:
    request: dict[str, Any] = {"SortBy": by, "SortOrder": order, "MaxResults": size}
    found: list[str] = []
    for _ in RECORDS:
        records, token = page(RECORDS, request, name="ModelName", sort=SORT)
        found += [r["ModelName"] for r in records]
        if token is None:
            break
        request["NextToken"] = token
    assert found == names(SortBy=by, SortOrder=order)


def test_a_record_deleted_between_pages_hides_no_other() -> None:
    first, token = page(RECORDS, {"MaxResults": 2}, name="ModelName", sort=SORT)
    left = [r for r in RECORDS if r not in first]
    second, _ = page(left, {"MaxResults": 2, "NextToken": token}, name="ModelName", sort=SORT)
    assert [r["ModelName"] for r in second] == ["beta", "alpha"]


def test_ten_at_a_time_unless_asked_otherwise() -> None:
    records, token = page([record(f"m{i}", i) for i in range(11)], {}, name="ModelName", sort=SORT)
    assert len(records) == 10
    assert token


@pytest.mark.parametrize("token", ["x", "bm90IGpzb24=", "WzFd", "WyJDcmVhdGlvblRpbWUgVHJ1ZSIsICJhIiwgImIiXQ==", "ä"])
def test_a_token_of_somebody_else_is_refused(token: str) -> None:
    with pytest.raises(ApiError, match="NextToken") as error:
        names(NextToken=token)
    assert error.value.code == "ValidationException"


def test_a_token_of_another_order_is_refused() -> None:
    _, token = page(RECORDS, {"MaxResults": 1}, name="ModelName", sort=SORT)
    with pytest.raises(ApiError, match="NextToken"):
        names(NextToken=token, SortBy="Name")


@pytest.mark.parametrize(("status_last", "pages"), [(False, [["alpha"]]), (True, [[], [], [], ["alpha"]])])
def test_status_is_looked_at_before_pages_are_made_or_after(status_last: bool, pages: list[list[str]]) -> None:
    request: dict[str, Any] = {"StatusEquals": "Failed", "MaxResults": 1}
    found = []
    for _ in pages:
        answer = listing(RECORDS, request, MODEL, items="Models", status="Status", status_last=status_last)
        found.append([summary["ModelName"] for summary in answer["Models"]])
        request["NextToken"] = answer.get("NextToken")
    assert found == pages
    assert request["NextToken"] is None


def test_other_filters_come_before_the_pages() -> None:
    request = {"StatusEquals": "Failed", "MaxResults": 1, "NameContains": "alpha"}
    answer = listing(RECORDS, request, MODEL, items="Models", status="Status", status_last=True)
    assert [summary["ModelName"] for summary in answer["Models"]] == ["alpha"]
