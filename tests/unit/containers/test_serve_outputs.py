"""The form that the headers ask for, and the text of the answer in that form."""

import json

import numpy as np
import pytest

from containers.serve.outputs import Form, negotiate, render
from containers.serve.refused import Refused

CLASSES = ("a", 'b "x", y', "c")
LOGITS = np.array([[1.0, 3.0, 2.0], [0.5, -2.25, 0.125]], np.float32)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form("application/json")),
        ("*/*", Form("application/json")),
        ("application/*", Form("application/json")),
        ("text/*", Form("text/csv")),
        ("text/csv", Form("text/csv")),
        ("TEXT/CSV; charset=utf-8", Form("text/csv")),
        ("application/jsonlines", Form("application/jsonlines")),
        ("text/html, application/json;q=0.5, text/csv;q=0.9", Form("text/csv")),
        ("text/html, */*;q=0.1", Form("application/json")),
        ("application/json;verbose=true", Form("application/json", 5)),
        ("application/json; Verbose=TRUE", Form("application/json", 5)),
        ("application/json;top-k=2", Form("application/json", 2)),
        ("application/json;top-k=2;verbose=true", Form("application/json", 2)),
        ("text/csv;verbose=false", Form("text/csv")),
    ],
)
def test_accept(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize(
    "accept",
    ["image/png", "text/html", "nonsense", ",", "json",
     *(f"application/json;q={quality}" for quality in ("0", "-1", "nan", "inf", "1_0", "\u0661", "1e0"))],
)  # fmt: skip
def test_an_accept_header_without_a_supported_type_is_refused(accept: str) -> None:
    with pytest.raises(Refused) as caught:
        negotiate(accept)
    assert caught.value.status == 406


@pytest.mark.parametrize(
    ("attributes", "top_k"),
    [
        ("", None),
        ("trace-id-1", None),
        ("tenant=7", None),
        ("verbose=true", 5),
        ("verbose=true,top-k=3", 3),
        ("tenant=7; top-k=9", 9),
        ("verbose=false", None),
    ],
)
def test_custom_attributes(attributes: str, top_k: int | None) -> None:
    assert negotiate("text/csv", attributes) == Form("text/csv", top_k)


@pytest.mark.parametrize(
    "attributes", ["top-k=0", "top-k=-1", "top-k=x", "top-k=", "top-k=99999999", "top-k=\u0663", "verbose=1"]
)
def test_senseless_options(attributes: str) -> None:
    for headers in (("", attributes), (f"text/csv;{attributes}", "")):
        with pytest.raises(Refused) as caught:
            negotiate(*headers)
        assert caught.value.status == 400


def test_raw_rows() -> None:
    assert json.loads(render(LOGITS, CLASSES, Form("application/json"))) == LOGITS.tolist()
    assert render(LOGITS, CLASSES, Form("application/jsonlines")) == "[1.0,3.0,2.0]\n[0.5,-2.25,0.125]\n"
    assert render(LOGITS, CLASSES, Form("text/csv")) == "1.0,3.0,2.0\n0.5,-2.25,0.125\n"


def test_labels_and_probabilities() -> None:
    rows = json.loads(render(LOGITS, CLASSES, Form("application/json", 2)))
    assert [[best["label"] for best in row] for row in rows] == [['b "x", y', "c"], ["a", "c"]]
    assert rows[0][0]["probability"] == pytest.approx(0.665241, abs=1e-6)
    everything = json.loads(render(LOGITS, CLASSES, Form("application/json", 99)))
    assert [sum(best["probability"] for best in row) for row in everything] == pytest.approx([1, 1], abs=1e-5)


def test_labels_as_csv_are_quoted() -> None:
    text = render(LOGITS[:1], CLASSES, Form("text/csv", 1))
    assert text == 'image,rank,label,probability\n0,1,"b ""x"", y",0.665241\n'


def test_large_logits_do_not_overflow() -> None:
    rows = json.loads(render(np.array([[5000.0, -5000.0, 0.0]], np.float32), CLASSES, Form("application/json", 1)))
    assert rows == [[{"label": "a", "probability": 1.0}]]


def test_values_that_are_not_finite_raise() -> None:
    with pytest.raises(ValueError, match="not finite"):
        render(np.array([[np.nan, 0, 0]], np.float32), CLASSES, Form("application/json"))
