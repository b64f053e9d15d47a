"""Each thing that is wrong with a training is said, and nothing is said of one that goes well."""

from collections.abc import Sequence

import pytest

from ml.remarks import Seen, remarks


def history(train: Sequence[float], valid: Sequence[float]) -> list[dict[str, float]]:
    return [{"train_loss": t, "valid_loss": v, "valid_accuracy": 0.5} for t, v in zip(train, valid, strict=True)]


GOOD = history([2.0, 1.0, 0.5, 0.3], [1.9, 1.1, 0.8, 0.7])


def test_nothing_is_said_of_a_training_that_goes_well() -> None:
    assert remarks(Seen(GOOD, (), 0.1)) == {}
    assert remarks(Seen(GOOD[:1], ("red", "blue"), 0.1)) == {}  # it has only begun


@pytest.mark.parametrize(
    ("seen", "name", "sentence"),
    [
        (Seen(GOOD, (), 0.0), "vanished", "The gradients have vanished"),
        (Seen(history([1.0, 2.5], [1.0, 1.0]), (), 1.0), "diverging", "has grown from 1.000 to 2.500"),
        (Seen(history([2, 1, 0.5, 0.1], [1, 1.1, 1.2, 1.3]), (), 1.0), "by heart", "has risen for 3 epochs (1.300)"),
        (Seen(GOOD, ("red",), 1.0), "missing", "No validation photo is predicted as 'red'."),
        (Seen(GOOD, tuple("abcde"), 1.0), "missing", "predicted as 'a', 'b', 'c' and 2 more."),
    ],
)
def test_what_is_wrong_is_said(seen: Seen, name: str, sentence: str) -> None:
    found = remarks(seen)
    assert found.keys() == {name}
    assert sentence in found[name]


def test_validation_may_rise_a_little_while_training_is_not_far_below() -> None:
    assert remarks(Seen(history([1.0, 0.9, 0.8, 0.7], [0.9, 0.95, 1.0, 1.1]), (), 1.0)) == {}
