"""Pictures of a search, and the figures in them."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra import figures
from infra.resources.tuning import Trial

NAMES = ("learning-rate", "batch-size")


def search(count: int = 12) -> list[Trial]:
    """The objective follows the learning rate alone."""
    return [
        Trial(
            name=f"job-{number:03}-12345678",
            status="Stopped" if number % 4 == 0 else "Completed",
            values={"learning-rate": str(0.001 * number), "batch-size": ("16", "32")[number % 2]},
            value=number / count,
        )
        for number in range(1, count + 1)
    ]


def test_three_pictures_that_a_browser_can_show(tmp_path: Path) -> None:
    paths = figures.draw(tmp_path / "new", search(), NAMES, "validation:accuracy")
    assert [path.name for path in paths] == ["objective.svg", "hyperparameters.svg", "importance.svg"]
    for path in paths:
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
    assert "stopped early" in paths[0].read_text()


def test_the_same_search_gives_the_same_pictures(tmp_path: Path) -> None:
    first, second = (figures.draw(tmp_path / name, search(), NAMES, "accuracy") for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_median_of_the_trials_so_far() -> None:
    assert figures.medians(search(4)) == [0.25, 0.375, 0.5, 0.625]


def test_what_explains_the_objective_matters() -> None:
    found = figures.importances(search(30), NAMES)
    assert found["learning-rate"] > 0.9
    assert sum(found.values()) == pytest.approx(1)


def test_nothing_matters_when_nothing_changes() -> None:
    same = [Trial(name="job-001-12345678", status="Completed", values={"a": str(n)}, value=0.5) for n in range(3)]
    assert figures.importances(same, ["a"]) == {"a": 0.0}


def test_texts_are_places_in_their_order(tmp_path: Path) -> None:
    words = [
        Trial(
            name=f"job-{n:03}-1", status="Completed", values={"model": ("resnet50", "lite")[n % 2]}, value=float(n % 2)
        )
        for n in range(1, 9)
    ]
    assert figures.importances(words, ["model"]) == {"model": 1.0}
    assert figures.draw(tmp_path, words, ["model"], "accuracy")


def test_the_ticks_of_a_logarithmic_scale_are_plain_numbers(tmp_path: Path) -> None:
    """Else labels such as 2x10^-4 and 3x10^-4 cover each other."""
    rates = [
        Trial(name=f"job-{n:03}-1", status="Completed", values={"learning-rate": f"{0.0002 * n**2}"}, value=n / 10)
        for n in range(1, 8)
    ]
    picture = (tmp_path / "hyperparameters.svg", figures.draw(tmp_path, rates, ["learning-rate"], "accuracy"))[0]
    labels = re.findall(r"<!-- (.*?) -->", picture.read_text())
    assert {"0.0002", "0.001", "0.005"} <= set(labels)
    assert not [label for label in labels if "times" in label]
