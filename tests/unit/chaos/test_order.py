"""Which experiments run, and in which order."""

import pytest

from tests.chaos.order import choose

NAMES = ("a", "b", "c", "d", "e", "f")


def test_a_seed_gives_the_same_order_again_and_another_seed_another() -> None:
    assert choose(NAMES, (), 1) == choose(NAMES, (), 1)
    assert sorted(choose(NAMES, (), 1)) == list(NAMES)
    assert len({tuple(choose(NAMES, (), seed)) for seed in range(20)}) > 1


def test_only_the_named_ones_are_chosen() -> None:
    assert sorted(choose(NAMES, ("f", "b"), 3)) == ["b", "f"]


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(ValueError, match=r"no experiment x: choose from a, b, c, d, e, f\."):
        choose(NAMES, ("a", "x"), 0)
