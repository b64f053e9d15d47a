"""The figures are those computed by hand, and the files hold them."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ml.evaluate import draw, evaluate, temperature, write

CLASSES = ("a", "b", "c", "d", "e", "f")
LOGITS = np.eye(6, dtype=np.float32)[[0, 0, 1, 2]]  # predicted: a a b c


def test_figures_are_those_computed_by_hand() -> None:
    result = evaluate(LOGITS, np.array([0, 1, 1, 5]), CLASSES)
    assert result.top1 == 0.5
    assert result.top5 == 0.75  # f is the last of six equals
    right, wrong = math.log(math.e + 5) - 1, math.log(math.e + 5)
    assert result.loss == pytest.approx((2 * right + 2 * wrong) / 4)
    assert result.confusion[1].tolist() == [1, 1, 0, 0, 0, 0]


def test_rows_are_those_computed_by_hand() -> None:
    rows = evaluate(LOGITS, np.array([0, 1, 1, 5]), CLASSES).rows()
    assert rows[1] == {
        "class": "b", "examples": 2, "precision": 1.0, "recall": 0.5, "f1": 0.6667, "most_confused_with": "a",
    }  # fmt: skip
    assert rows[3]["f1"] == 0.0


def test_huge_logits_do_not_overflow() -> None:
    result = evaluate(np.array([[1e30, -1e30]], np.float32), np.array([0]), ("a", "b"))
    assert (result.loss, result.top5) == (0.0, 1.0)


def test_the_files_hold_the_figures(tmp_path: Path) -> None:
    write(evaluate(LOGITS, np.array([0, 1, 1, 5]), CLASSES), tmp_path, "test")
    content = json.loads((tmp_path / "test_evaluation.json").read_text())
    assert (content["accuracy"], content["confusion"][5][2]) == (0.5, 1)
    with (tmp_path / "test_classes.csv").open(newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == list(CLASSES)
    with Image.open(tmp_path / "test_confusion.png") as image:
        assert image.format == "PNG"


@pytest.mark.parametrize("count", [2, 133])
def test_the_picture_has_a_bounded_size(count: int) -> None:
    names = [f"{index:03}.some_breed_name" for index in range(count)]
    labels = np.arange(count)
    image = draw(evaluate(np.eye(count), labels, names))
    assert max(image.size) < 2500
    colours = image.getcolors(image.width * image.height)
    assert colours is not None
    assert (8, 48, 107) in [colour for _, colour in colours]


def test_the_temperature_undoes_logits_that_are_too_sure() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(4000, 5)) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.array([random.choice(5, p=row) for row in chances])
    assert temperature(logits, labels) == pytest.approx(1.0, abs=0.1)
    assert temperature(3 * logits, labels) == pytest.approx(3.0, abs=0.3)
