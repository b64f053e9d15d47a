"""Filters and joins: the worked examples' rules of AWS's guide."""

import pytest

from stagemaker.transform.filters import CSV, JSON, JSON_LINES, Filters, answers
from stagemaker.transform.paths import BadPath, parse


def filters(content_type: str, sent: str = "$", kept: str = "$", *, joins: bool = False) -> Filters:
    return Filters(content_type, parse(sent), parse(kept), joins)


def test_a_column_is_left_out_of_what_is_sent() -> None:
    assert filters(CSV, "$[1:]").request(b"id7,1.5,2") == b"1.5,2"
    assert filters(JSON, "$.features").request(b'{"id": 7, "features": [1, 2]}') == b"[1,2]"


def test_csv_appends_the_answer_s_columns() -> None:
    assert filters(CSV, "$[1:]", joins=True).result(b'id7,"a,b"', b"0.9,dog") == b'id7,"a,b",0.9,dog'
    assert filters(CSV, kept="$[0,-1]", joins=True).result(b"id7,1,2", b"0.9") == b"id7,0.9"


def test_an_object_gains_a_member() -> None:
    joined = filters(JSON_LINES, joins=True).result(b'{"id":7}', b'{"label":"dog"}')
    assert joined == b'{"id":7,"SageMakerOutput":{"label":"dog"}}'


def test_anything_else_becomes_an_object_of_both() -> None:
    joined = filters(JSON, joins=True).result(b"[1,2]", b"[0.5]")
    assert joined == b'{"SageMakerInput":[1,2],"SageMakerOutput":[0.5]}'


def test_what_is_kept_is_selected_of_the_joined_record() -> None:
    kept = filters(JSON, kept="$['id','SageMakerOutput']", joins=True).result('{"id":"é","x":1}'.encode(), b"0.5")
    assert kept == '{"id":"é","SageMakerOutput":0.5}'.encode()


@pytest.mark.parametrize(
    ("content_type", "record"), [(CSV, b"a\nb"), (CSV, b'"a'), (JSON, b"{"), (JSON, b"NaN"), (JSON, b"\xff")]
)
def test_a_record_of_another_type(content_type: str, record: bytes) -> None:
    with pytest.raises(BadPath):
        filters(content_type, "$[0]").request(record)


def test_an_answer_has_a_line_for_each_record() -> None:
    assert answers(b"1\n2\n", 2) == [b"1", b"2"]
    assert answers(b"[\n1]\n", 1) == [b"[\n1]"]
    with pytest.raises(BadPath, match="3 records has 2 lines"):
        answers(b"1\n2\n", 3)
