"""Batch transform's JSONPath: the expressions of AWS's guide, and what is none."""

from typing import Any

import pytest

from stagemaker.transform.paths import BadPath, parse

RECORD = {"id": 7, "features": [1, 2, 3, 4], "deep": {"a": {"b": "c"}}, "with space": True}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("$", RECORD),
        ("$.id", 7),
        ("$.deep.a.b", "c"),
        ("$['with space']", True),
        ("$['id','features']", {"id": 7, "features": [1, 2, 3, 4]}),
        ("$.features[0]", 1),
        ("$.features[-1]", 4),
        ("$.features[0,2,-1]", [1, 3, 4]),
        ("$.features[1:3]", [2, 3]),
        ("$.features[1:]", [2, 3, 4]),
        ("$.features[:-1]", [1, 2, 3]),
        ("$.features[*]", [1, 2, 3, 4]),
        ("$.deep.*", [{"b": "c"}]),
    ],
)
def test_what_an_expression_selects(text: str, selected: Any) -> None:
    assert parse(text).select(RECORD) == selected


@pytest.mark.parametrize("text", ["", "id", "$id", "$..id", "$.features[?(@>1)]", "$['a", "$[1:2:3]", "$.a[b]"])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(BadPath):
        parse(text)


@pytest.mark.parametrize("text", ["$.none", "$['id','none']", "$.features[4]", "$.features[-5]", "$.id[0]", "$[0]"])
def test_what_a_record_does_not_have(text: str) -> None:
    with pytest.raises(BadPath):
        parse(text).select(RECORD)


def test_a_row_of_csv_has_positions_only() -> None:
    assert parse("$[0,2]").only_positions
    assert not parse("$.id").only_positions
    assert not parse("$[0]['a']").only_positions
