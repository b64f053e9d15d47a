"""What the five people did by hand: a table of our own, set beside what ran."""

import pytest

from infra.presets import FOLDER
from infra.rehearse import by_hand


def test_each_of_the_five_has_a_preset_and_tells_only_known_steps() -> None:
    found = by_hand.read()
    assert sorted(found) == ["A", "B", "C", "D", "E"]
    for letter, told in found.items():
        assert (FOLDER / f"{letter.lower()}.toml").is_file()
        assert told.keys() <= by_hand.STEPS.keys()
        assert all(text and text == text.strip() for text in told.values())


@pytest.mark.parametrize(
    ("letter", "step", "figure"),
    [
        ("A", "concurrency", "2 provisioned"),
        ("B", "tuning", "10 jobs, 3 at once"),
        ("B", "function", "0.835 s"),
        ("C", "scaling", "target 100"),
        ("D", "endpoints", "one plain and one that scales"),
        ("E", "training", "20 minutes"),
    ],
)
def test_their_figures_are_told(letter: str, step: str, figure: str) -> None:
    assert figure in by_hand.read()[letter][step]


def test_both_are_set_side_by_side_in_the_order_of_the_steps() -> None:
    (table,) = by_hand.beside(
        {"tuning": "10 jobs", "scaling": "yes"}, {"data": "10 classes", "tuning": "2 jobs"}
    ).tables
    assert table.header == ("Step", "By hand", "Here")
    assert table.rows == (
        ("Data", "not told", "10 classes"),
        ("Tuning", "10 jobs", "2 jobs"),
        ("Scaling", "yes", "not rehearsed"),
    )
