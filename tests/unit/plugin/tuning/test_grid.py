"""The order of a grid, and its rest."""

import pytest

from stagemaker.tuning.grid import configuration, first_configuration, next_untried
from stagemaker.tuning.ranges import Categories, Number

RANGES = (Number("n", 3, 4, "Linear", True), Categories("c", ("x", "y", "z")))


def test_every_configuration_comes_once() -> None:
    found = [tuple(configuration(RANGES, index).values()) for index in range(6)]
    assert found == [("3", "x"), ("3", "y"), ("3", "z"), ("4", "x"), ("4", "y"), ("4", "z")]


def test_the_next_one_that_was_not_tried_follows_in_that_order_and_begins_anew_at_the_end() -> None:
    tried: set[tuple[str, ...]] = {("4", "y"), ("4", "z"), ("3", "x")}
    assert next_untried(RANGES, tried, {"n": "4", "c": "y"}) == {"n": "3", "c": "y"}
    assert next_untried(RANGES, tried, {"n": "4", "c": "x"}) == {"n": "4", "c": "x"}
    everything = {tuple(configuration(RANGES, index).values()) for index in range(6)}
    with pytest.raises(LookupError):
        next_untried(RANGES, everything, {"n": "3", "c": "x"})


def test_the_first_configuration_needs_no_counting() -> None:
    assert first_configuration((*RANGES, Number("f", 0.5, 1.0, "Linear", False))) == {"n": "3", "c": "x", "f": "0.5"}


def test_what_cannot_be_counted_has_no_grid() -> None:
    with pytest.raises(ValueError, match="The values of f cannot be counted"):
        configuration((Number("f", 0, 1, "Linear", False),), 0)
